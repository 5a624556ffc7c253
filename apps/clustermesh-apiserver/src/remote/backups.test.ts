/** Backups of several ages and of other lives of the store; operators and identities in the middle of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { Endpoint, Identity, Kind } from "@isthmus/proto";
import { asBuffer, createRecordTable, type HashedRecord, hashRecord, STORE_KINDS, sameSums } from "@isthmus/records";
import { createModelPublisher, createModelStore, type ModelPublisher } from "../publish/model-store.js";
import { LOCAL, peer, slice } from "./fixture.js";
import { createModelReader, settleBoth } from "./model-reader.js";
import { limitsOf } from "./peer.js";
import { isVerified } from "./report.js";
import { LEFT_STORES } from "./state.js";

/** A store, a publisher and a reader that are in sync. */
function scene(...records: readonly HashedRecord[]) {
  const store = createModelStore();
  const clock = { now: 0 };
  const wanted = createRecordTable();
  const started = (name: string): ModelPublisher => {
    const publisher = createModelPublisher(store, clock, name, () => 0.5);
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
  function work(who: ModelPublisher): void {
    if (who.wakeAt <= clock.now) who.tick();
    for (let i = 0; i < 50; i++) {
      who.deliver();
      if (who.calls === 0) break;
      who.decide("done");
    }
  }
  function look(ms = 0): void {
    clock.now += ms;
    reader.deliver();
    if (reader.wakeAt <= clock.now) reader.tick();
    for (let i = 0; reader.calls > 0 && i < 10; i++) reader.decide(true);
  }
  /** What is published now is known and proved. */
  function know(): void {
    work(publisher);
    for (let i = 0; i < 20; i++) look();
    reader.deleted.clear();
    assertOfToday();
    assert.ok(isVerified(reader.state), reader.state.message);
  }
  function assertOfToday(): void {
    assert.deepEqual([...reader.deleted], [], "nothing newer was deleted");
    assert.ok(sameSums(reader.index.sums(STORE_KINDS), wanted.sums(STORE_KINDS)), "nothing came back or turned older");
  }
  return { store, clock, publisher, reader, wanted, started, publish, work, look, know, assertOfToday };
}

test("a backup that lacks one txn, overtaken by others: the same number of a head of another writer is of the past", () => {
  const { store, publisher, started, publish, work, look, know, assertOfToday } = scene(slice(1, 1), slice(1, 3));
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
    assertOfToday();
  }
});

test("two restores while the publisher is away, the second backup newer: a jump is no beat", () => {
  const { store, clock, publisher, publish, work, look, know, assertOfToday, reader } = scene(slice(1, 1), slice(1, 3));
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
    assertOfToday();
  }
});

test("two restores, the second backup an hour older: its publisher is believed after two beats all the same", () => {
  const { store, clock, publisher, publish, started, work, look, know, reader } = scene(slice(1, 1));
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
  publish([slice(1, 40)]); // and goes away
  const next = started("q");
  for (let i = 0; i < 12 && reader.index.get(slice(1, 40).key) === undefined; i++) {
    work(next);
    look(5000);
  }
  assert.ok(reader.index.get(slice(1, 40).key) !== undefined, reader.state.message);
});

test("a publisher that beats while it still writes what was missing is not believed before it has", () => {
  const missing = Array.from({ length: 1000 }, (_, i) => slice(1, i));
  const { store, clock, publisher, started, publish, work, look, know, assertOfToday } = scene(slice(1, 2000));
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
    assertOfToday();
  }
});

test("a backup from before a wipe, a reader from after it: a head that counts less is of the past under any id", () => {
  const { store, clock, publisher, publish, work, wanted } = scene(slice(1, 1), slice(1, 3));
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

test("a restored store that goes on under its id is another one to who has a position: nobody waits for its revision", () => {
  const { store, publisher, started, publish, work, look, know, reader } = scene(slice(1, 1));
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

test("what the operator forbids while the store has no id goes at once", () => {
  const { store, reader, look } = scene(slice(1, 1), slice(1, 3));
  store.txn([], [{ type: "delete", key: "store" }]);
  look();
  assert.equal(reader.state.storeId, undefined);
  const narrow = { ...peer("east", 1), podCidrs: [parsePrefix("10.1.0.2/31")] };
  reader.admission.setLimits(limitsOf(narrow, LOCAL, [narrow]));
  reader.feed({ type: "judge-again" });
  assert.equal(reader.index.get(slice(1, 1).key), undefined);
  assert.ok(reader.index.get(slice(1, 3).key) !== undefined);
});

test("no endpoint is handed on before its identity, also when the reader lists in the middle of a load", () => {
  const { store, clock, publisher, publish, look, reader } = scene(slice(1, 1));
  const numbers = Array.from({ length: 130 }, (_, i) => (1 << 20) | (300 + i));
  store.wipe();
  publish(
    numbers.map((n) => hashRecord(Kind.KIND_IDENTITY, `identities/${n}`, Identity.encode({ labels: [] }).finish())),
  );
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
  assert.ok(reader.state.doubting);
  const endpoints = [...reader.index.records(Kind.KIND_ENDPOINT)].map(({ value }) => Endpoint.decode(value));
  assert.ok(endpoints.length > 0);
  const unknown = endpoints.filter(({ identity }) => reader.index.get(`identities/${identity}`) === undefined);
  assert.equal(unknown.length, 0);
});

function endpoint(address: string, identity: number): HashedRecord {
  const bytes = asBuffer(parseAddress(address));
  const message = Endpoint.fromPartial({ address: bytes, identity, namespace: "a", pod: "b", podUid: "c" });
  return hashRecord(Kind.KIND_ENDPOINT, `endpoints/${address}`, Endpoint.encode(message).finish());
}

test("the number of remembered former store ids is bounded, whatever a peer writes", () => {
  const { store, reader, look } = scene(slice(1, 1));
  for (let i = 0; i < 3000; i++) {
    store.txn([], [{ type: "put", key: "store", value: Buffer.from(`id-${i}`.padEnd(16)) }]);
    look(5_000);
  }
  assert.equal(reader.state.leftStores.size, LEFT_STORES);
});
