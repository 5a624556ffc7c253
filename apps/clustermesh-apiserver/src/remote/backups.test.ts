/** Restores of backups of several ages and store ids, also with configuration changes and identities meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { Endpoint, Identity, Kind } from "@isthmus/proto";
import { asBuffer, createRecordTable, type HashedRecord, hashRecord, STORE_KINDS, sameSums } from "@isthmus/records";
import { createModelPublisher, createModelStore, type ModelPublisher } from "../publish/testing/model-store.js";
import { limitsOf } from "./peer.js";
import { isVerified } from "./report.js";
import { LEFT_STORES } from "./state.js";
import { LOCAL, peer, slice } from "./testing/fixture.js";
import { createModelReader, settleBoth } from "./testing/model-reader.js";

/** A store, a publisher and a reader that are in sync. */
function scene(records: readonly HashedRecord[], epoch: () => string = () => "") {
  const store = createModelStore();
  const clock = { now: 0 };
  const wanted = createRecordTable();
  const started = (name: string): ModelPublisher => {
    const publisher = createModelPublisher(store, clock, name, () => 0.5, epoch);
    const change = { upserts: [...wanted.records()], deletes: [], observedMicros: 1 };
    publisher.feed({ type: "changed", change });
    publisher.feed({ type: "start" });
    return publisher;
  };
  for (const record of records) wanted.set(record);
  const publisher = started("p");
  const reader = createModelReader(store, clock);
  reader.feed({ type: "start" });
  settleBoth(clock, store, publisher, reader);

  function publish(upserts: readonly HashedRecord[], deletes: readonly HashedRecord[] = []): void {
    for (const record of upserts) wanted.set(record);
    for (const { key } of deletes) wanted.delete(key);
    publisher.feed({ type: "changed", change: { upserts, deletes, observedMicros: 1 } });
  }
  function work(target: ModelPublisher): void {
    if (target.wakeAt <= clock.now) target.tick();
    for (let i = 0; i < 50; i++) {
      target.deliver();
      if (target.calls === 0) break;
      target.decide("done");
    }
  }
  function look(ms = 0): void {
    clock.now += ms;
    reader.deliver();
    if (reader.wakeAt <= clock.now) reader.tick();
    for (let i = 0; reader.calls > 0 && i < 10; i++) reader.decide(true);
  }
  /** Runs both until the reader has received and verified what is published. */
  function know(): void {
    work(publisher);
    for (let i = 0; i < 20; i++) look();
    reader.deleted.clear();
    assertCurrent();
    assert.ok(isVerified(reader.state), reader.state.message);
  }
  function assertCurrent(): void {
    assert.deepEqual([...reader.deleted], [], "nothing newer was deleted");
    assert.ok(sameSums(reader.index.sums(STORE_KINDS), wanted.sums(STORE_KINDS)), "no record returned or became older");
  }
  return { store, clock, publisher, reader, wanted, started, publish, work, look, know, assertCurrent };
}

test("a backup that lacks one txn is detected: its head has the last sequence number but another writer", () => {
  const { store, publisher, started, publish, work, look, know, assertCurrent } = scene([slice(1, 1), slice(1, 3)]);
  work(publisher);
  store.keep();
  publish([slice(1, 2)], [slice(1, 3)]);
  know();
  store.setBack();
  for (let i = 0; i < 5; i++) store.txn([], [{ type: "put", key: `others/${i}`, value: Buffer.from("x") }]);
  const next = started("q");
  for (const _ of ["list", "take over"]) next.decide("done");
  for (let i = 0; i < 4; i++) {
    look();
    assertCurrent();
  }
});

test("two restores while no publisher runs, the second one newer: a jump of the beat counter does not count as beats", () => {
  const { store, clock, publisher, publish, work, look, know, assertCurrent, reader } = scene([
    slice(1, 1),
    slice(1, 3),
  ]);
  store.keep("old");
  for (let i = 0; i < 5; i++) {
    clock.now += 5000;
    work(publisher);
  }
  store.keep("younger");
  for (const i of [2, 11, 12]) {
    publish([slice(1, i)], [slice(1, 3)]);
    work(publisher);
  }
  look();
  know();
  for (const name of ["old", "younger"]) {
    store.setBack(name);
    for (let i = 0; i < 2; i++) look(5000);
    assert.match(reader.state.message, /set back/);
    assertCurrent();
  }
});

test("two restores, the second one an hour older: the head counts after two beats of its publisher", () => {
  const { store, clock, publisher, publish, started, work, look, know, reader } = scene([slice(1, 1)]);
  store.keep("old");
  for (let i = 0; i < 720; i++) {
    clock.now += 5000;
    work(publisher);
  }
  store.keep("younger");
  publish([slice(1, 10)]);
  know();
  store.setBack("younger");
  for (let i = 0; i < 2; i++) look(5000);
  store.setBack("old");
  look(5000);
  publish([slice(1, 40)]); // and stops
  const next = started("q");
  for (let i = 0; i < 12 && reader.index.get(slice(1, 40).key) === undefined; i++) {
    work(next);
    look(5000);
  }
  assert.ok(reader.index.get(slice(1, 40).key) !== undefined, reader.state.message);
});

test("the head of a publisher that still writes missing records does not count before they are written", () => {
  const missing = Array.from({ length: 1000 }, (_, i) => slice(1, i));
  const { store, clock, publisher, started, publish, work, look, know, assertCurrent } = scene([slice(1, 2000)]);
  work(publisher);
  store.keep();
  publish(missing);
  know();
  store.setBack();
  for (let i = 0; i < 2; i++) look();
  const next = started("q");
  for (const _ of ["list", "take over"]) next.decide("done");
  for (let i = 0; i < 6; i++) {
    clock.now += 2500;
    next.decide("done");
    look();
    assertCurrent();
  }
});

test("a reader that started after a wipe detects a backup from before it by the lower sequence number, under any store id", () => {
  const { store, clock, publisher, publish, work, wanted } = scene([slice(1, 1), slice(1, 3)]);
  for (let i = 0; i < 3; i++) {
    clock.now += 5000;
    work(publisher);
  }
  store.keep();
  store.wipe();
  publish([slice(1, 2)], [slice(1, 3)]);
  const reader = createModelReader(store, clock);
  reader.feed({ type: "start" });
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state));
  reader.deleted.clear();
  store.setBack();
  for (let i = 0; i < 3; i++) {
    clock.now += 5000;
    reader.deliver();
    if (reader.wakeAt <= clock.now) reader.tick();
    while (reader.calls > 0) reader.decide(true);
  }
  assert.deepEqual([...reader.deleted], []);
  assert.ok(sameSums(reader.index.sums(STORE_KINDS), wanted.sums(STORE_KINDS)));
});

test("a restored store that keeps its id gets another id in positions, so that no client waits for an old revision", () => {
  const { store, publisher, started, publish, work, look, know, reader } = scene([slice(1, 1)]);
  work(publisher);
  store.keep();
  for (let i = 0; i < 300; i++) {
    publish([slice(1, 10, i)]);
    work(publisher);
  }
  know();
  const floor = reader.index.position;
  assert.ok(floor !== undefined);
  store.setBack();
  look();
  const next = started("q");
  for (let i = 0; i < 20; i++) {
    work(next);
    look(5000);
  }
  assert.ok(isVerified(reader.state));
  assert.notEqual(reader.index.since(floor), "behind");
});

test("records that the operator's limits exclude are deleted at once, even while the store has no id", () => {
  const { store, reader, look } = scene([slice(1, 1), slice(1, 3)]);
  store.txn([], [{ type: "delete", key: "store" }]);
  look();
  assert.equal(reader.state.storeId, undefined);
  const narrow = { ...peer("east", 1), podCidrs: [parsePrefix("10.1.0.2/31")] };
  reader.admission.setLimits(limitsOf(narrow, LOCAL, [narrow]));
  reader.feed({ type: "judge-again" });
  assert.equal(reader.index.get(slice(1, 1).key), undefined);
  assert.ok(reader.index.get(slice(1, 3).key) !== undefined);
});

test("no endpoint is emitted before its identity, even when the reader lists during a load", () => {
  const { store, clock, publisher, publish, look, reader } = scene([slice(1, 1)]);
  const numbers = Array.from({ length: 130 }, (_, i) => (1 << 20) | (300 + i));
  store.wipe();
  publish(numbers.map((n) => identity(n, "web")));
  publish(numbers.map((identity, i) => endpoint(`10.1.7.${i}`, identity)));
  publisher.deliver();
  clock.now += 3000;
  publisher.tick();
  for (let i = 0; i < 20 && !store.keys.has(`identities/${numbers[0]}`); i++) publisher.decide("done");
  assert.equal(publisher.state.phase.status, "Loading");
  look();
  look();
  for (let i = 0; i < 2; i++) publisher.decide("done");
  look();
  assert.ok(reader.state.unverifiedStore);
  const endpoints = [...reader.index.records(Kind.KIND_ENDPOINT)].map(({ value }) => Endpoint.decode(value));
  assert.ok(endpoints.length > 0);
  const unknown = endpoints.filter(({ identity }) => reader.index.get(`identities/${identity}`) === undefined);
  assert.equal(unknown.length, 0);
});

function identity(number: number, app: string): HashedRecord {
  const labels = [
    { key: "app", value: app },
    { key: "io.cilium.k8s.policy.cluster", value: "east" },
  ];
  return hashRecord(Kind.KIND_IDENTITY, `identities/${number}`, Identity.encode({ labels }).finish());
}

/** The value of the label `app` of an identity. */
function appOf(record: HashedRecord | undefined): string {
  return Identity.decode(record?.value ?? new Uint8Array()).labels.find(({ key }) => key === "app")?.value ?? "none";
}

test("labels of a number that change in one epoch are refused and counted, and those before stay in force", () => {
  const state = { epoch: "" };
  const number = (1 << 20) | 300;
  const { reader, publish, publisher, work, look, clock } = scene([identity(number, "web")], () => state.epoch);
  const key = `identities/${number}`;
  const app = () => appOf(reader.index.get(key));
  const refusals = () => reader.admission.refused().map(({ reason, count }) => `${reason} ${count}`);
  const settle = () => {
    for (let i = 0; i < 5; i++) {
      work(publisher);
      look(200);
    }
  };
  assert.deepEqual([app(), refusals()], ["web", []]);
  publish([identity(number, "db")]);
  settle();
  assert.deepEqual([app(), refusals()], ["web", ["identity-changed 1"]]);
  assert.ok(isVerified(reader.state), "what is refused still counts in the sums");
  publish([identity(number, "api"), identity(number + 1, "new")]);
  settle();
  assert.deepEqual([app(), refusals()], ["web", ["identity-changed 1"]]);
  assert.equal(appOf(reader.index.get(`identities/${number + 1}`)), "new", "others go on");
  publish([identity(number, "web")]);
  settle();
  assert.deepEqual([app(), refusals()], ["web", []], "the peer took it back");
  publish([identity(number, "db")]);
  settle();
  reader.admission.setLimits(limitsOf(peer("east", 1), LOCAL, [peer("east", 1)]));
  reader.feed({ type: "judge-again" });
  assert.equal(app(), "web", "not even when all records are judged again");
  state.epoch = "after a restore";
  clock.now += 5000;
  settle();
  assert.deepEqual([app(), refusals()], ["db", []], "in another epoch numbers may mean other labels");
  publish([], [identity(number, "db")]);
  settle();
  assert.equal(app(), "none");
  publish([identity(number, "web")]);
  settle();
  assert.equal(app(), "web");
});

test("a number that changed its labels and its epoch while the reader was away is accepted with its listing", () => {
  const state = { epoch: "" };
  const number = (1 << 20) | 300;
  const { store, reader, publish, publisher, work, look, clock } = scene([identity(number, "web")], () => state.epoch);
  publish([identity(number, "db")]);
  work(publisher);
  look();
  assert.equal(appOf(reader.index.get(`identities/${number}`)), "web");
  state.epoch = "after a restore";
  reader.cut();
  store.compact(store.revision);
  clock.now += 5000;
  for (let i = 0; i < 5; i++) {
    work(publisher);
    look(5000);
  }
  assert.equal(appOf(reader.index.get(`identities/${number}`)), "db");
  assert.deepEqual(reader.admission.refused(), []);
});

function endpoint(address: string, identity: number): HashedRecord {
  const bytes = asBuffer(parseAddress(address));
  const message = Endpoint.fromPartial({ address: bytes, identity, namespace: "a", pod: "b", podUid: "c" });
  return hashRecord(Kind.KIND_ENDPOINT, `endpoints/${address}`, Endpoint.encode(message).finish());
}

test("the number of remembered former store ids is bounded, whatever a peer writes", () => {
  const { store, reader, look } = scene([slice(1, 1)]);
  for (let i = 0; i < 3000; i++) {
    store.txn([], [{ type: "put", key: "store", value: Buffer.from(`id-${i}`.padEnd(16)) }]);
    look(5_000);
  }
  assert.equal(reader.state.leftStores.size, LEFT_STORES);
});
