import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeLease } from "@isthmus/kube";
import {
  createLeaseState,
  holderOf,
  isValid,
  LEASE_MS,
  type LeaseEffect,
  type LeaseEvent,
  RENEW_DEADLINE_MS,
  releasedLease,
  stepLease,
} from "./lease.js";

/** A model of Kubernetes with one Lease, and instances with freely chosen clock offsets. */
function createApi() {
  let lease: KubeLease | undefined;
  let version = 0;
  return {
    get lease() {
      return lease;
    },
    set(spec: KubeLease["spec"] | undefined) {
      version++;
      lease = spec && { metadata: { name: "l", resourceVersion: String(version) }, spec };
    },
    put(object: KubeLease): "conflict" | KubeLease {
      if (object.metadata.resourceVersion !== lease?.metadata.resourceVersion) return "conflict";
      this.set(object.spec);
      return lease as KubeLease;
    },
  };
}

type Api = ReturnType<typeof createApi>;

function createInstance(api: Api, instance: string, options: { identity?: string; wallMicros?: number } = {}) {
  const { identity = `${instance}_1`, wallMicros = 1_700_000_000_000_000 } = options;
  const state = createLeaseState({ namespace: "ns", name: "l", instance, identity, random: () => 0 });
  let due = 0;
  const perform = (effect: LeaseEffect, now: number, answers: boolean): LeaseEvent | undefined => {
    if (effect.type === "wait") {
      due = now + effect.ms;
      return undefined;
    }
    if (!answers) return { type: "failed", sentence: "no answer" };
    if (effect.type === "read") return { type: "read", lease: api.lease };
    const lease = api.put(effect.lease);
    return lease === "conflict" ? { type: "conflict" } : { type: "written", lease, sentAt: now };
  };
  return {
    state,
    valid: (now: number) => isValid(state, now),
    /** Performs everything that is due at `now`. */
    run(now: number, { answers = true } = {}) {
      if (now < due) return;
      let event: LeaseEvent | undefined = { type: "tick" };
      while (event !== undefined) {
        event = perform(stepLease(state, event, { now, wallMicros: wallMicros + now * 1000 }), now, answers);
      }
    },
    released: (now: number) => releasedLease(state, { now, wallMicros: wallMicros + now * 1000 }),
  };
}

type Instance = ReturnType<typeof createInstance>;

function pass(from: number, to: number, ...instances: readonly Instance[]) {
  for (let now = from; now <= to; now += 100) for (const each of instances) each.run(now);
}

test("the first instance creates and renews the Lease; the second stands by and names the first", () => {
  const api = createApi();
  const [one, two] = [createInstance(api, "one"), createInstance(api, "two")];
  pass(0, 60_000, one, two);
  assert.deepEqual([one.valid(60_000), two.valid(60_000)], [true, false]);
  assert.deepEqual([one.state.holding, two.state.holding], [true, false]);
  assert.equal(holderOf(two.state.observed?.lease), "one");
  assert.equal(api.lease?.spec?.leaseTransitions, 0);
  assert.match(api.lease?.spec?.renewTime ?? "", /^\d{4}-.*\.\d{6}Z$/);
});

test("the Lease of a silent holder is acquired after its duration, whatever its wall clock says", () => {
  for (const skew of [-3_600_000_000, 0, 3_600_000_000]) {
    const api = createApi();
    const one = createInstance(api, "one");
    const two = createInstance(api, "two", { wallMicros: 1_700_000_000_000_000 + skew });
    pass(0, 10_000, one, two);
    pass(10_100, 10_000 + LEASE_MS - 2_000, two);
    assert.equal(two.state.holding, false, "not before its time");
    pass(10_000 + LEASE_MS - 1_900, 10_000 + LEASE_MS + 3_000, two);
    assert.equal(two.valid(10_000 + LEASE_MS + 3_000), true);
    assert.equal(api.lease?.spec?.leaseTransitions, 1);
  }
});

test("a resumed holder may not write, not even before its next call, and then stands by", () => {
  const api = createApi();
  const [one, two] = [createInstance(api, "one"), createInstance(api, "two")];
  pass(0, 10_000, one, two);
  pass(10_100, 40_000, two);
  assert.equal(one.state.holding, true, "it knows nothing yet");
  assert.equal(one.valid(40_000), false);
  pass(40_100, 42_000, one, two);
  assert.deepEqual([one.state.holding, two.valid(42_000)], [false, true]);
  assert.equal(holderOf(one.state.observed?.lease), "two");
});

test("two instances never may write at the same time, whichever is suspended and for however long", () => {
  for (let seed = 1; seed < 200; seed++) {
    const api = createApi();
    const instances = ["a", "b", "c"].map((name) => createInstance(api, name));
    let random = seed;
    const next = (below: number) => {
      random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
      return random % below;
    };
    const stopped = instances.map(() => 0);
    for (let now = 0; now < 200_000; now += 250) {
      for (const [i, each] of instances.entries()) {
        if (next(100) === 0) stopped[i] = now + next(40_000);
        if (now >= (stopped[i] ?? 0)) each.run(now, { answers: next(10) !== 0 });
      }
      const writers = instances.filter((each) => each.valid(now));
      assert.ok(writers.length <= 1, `seed ${seed} at ${now}`);
    }
    pass(200_000, 260_000, ...instances);
    assert.equal(instances.filter((each) => each.valid(260_000)).length, 1, `seed ${seed}: one in the end`);
  }
});

test("while Kubernetes does not answer a holder stops writing status and goes on publishing", () => {
  const api = createApi();
  const one = createInstance(api, "one");
  one.run(0);
  for (let now = 100; now <= 60_000; now += 100) one.run(now, { answers: false });
  assert.deepEqual([one.state.holding, one.valid(60_000)], [true, false]);
  assert.equal(one.state.problem, "no answer");
  assert.ok(one.valid(RENEW_DEADLINE_MS - 1));
  pass(60_100, 63_000, one);
  assert.deepEqual([one.valid(63_000), one.state.problem], [true, ""]);
});

test("a renewal whose answer was lost is recognised as the instance's own", () => {
  const api = createApi();
  const one = createInstance(api, "one");
  one.run(0);
  const effect = stepLease(one.state, { type: "tick" }, { now: 2000, wallMicros: 1 });
  assert.equal(effect.type, "write");
  if (effect.type === "write") api.put(effect.lease);
  stepLease(one.state, { type: "failed", sentence: "timed out" }, { now: 6000, wallMicros: 1 });
  pass(8000, 12_000, one);
  assert.deepEqual([one.valid(12_000), api.lease?.spec?.leaseTransitions], [true, 0]);
});

test("after a release the next instance does not wait", () => {
  const api = createApi();
  const [one, two] = [createInstance(api, "one"), createInstance(api, "two")];
  pass(0, 10_000, one, two);
  const released = one.released(10_000);
  assert.ok(released !== undefined);
  assert.equal(released.spec?.holderIdentity, undefined);
  api.put(released);
  pass(10_100, 13_000, two);
  assert.equal(two.valid(13_000), true);
  assert.equal(two.released(13_000)?.metadata.resourceVersion, api.lease?.metadata.resourceVersion);
  assert.equal(one.released(13_000)?.metadata.resourceVersion, "6", "an old one's is refused by its version");
});

test("a restarted container takes the Lease of its predecessor at once; of two instances with the same name the older stands by", () => {
  const api = createApi();
  const before = createInstance(api, "one", { identity: "one_1" });
  pass(0, 4_000, before);
  const again = createInstance(api, "one", { identity: "one_2" });
  again.run(4_100);
  assert.equal(again.valid(4_100), true);
  pass(4_200, 60_000, before, again);
  assert.deepEqual([before.state.holding, again.valid(60_000)], [false, true]);
  assert.equal(api.lease?.spec?.leaseTransitions, 1, "no going to and fro");
});

test("a deleted Lease is created again; a Lease edited to name another instance is obeyed", () => {
  const api = createApi();
  const one = createInstance(api, "one");
  pass(0, 4_000, one);
  api.set(undefined);
  pass(4_100, 8_000, one);
  assert.equal(one.valid(8_000), true);
  api.set({ holderIdentity: "other_x", leaseDurationSeconds: 1_000_000 });
  pass(8_100, 12_000, one);
  assert.equal(one.state.holding, false);
  pass(12_100, 80_000, one);
  assert.equal(one.valid(80_000), true, "a duration of days is not believed");
});
