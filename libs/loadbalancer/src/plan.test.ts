import assert from "node:assert/strict";
import { test } from "node:test";
import { Limit } from "@isthmus/bpf/schema";
import { addressWords, backendHash, type MergedBackend, type MergedFrontend, wordsAddress } from "@isthmus/clustermesh";
import {
  type ClusterId,
  type ClusterName,
  formatAddress,
  parseAddress,
  parseClusterName,
  type ServiceName,
  TCP,
} from "@isthmus/model";
import { BackendExclusion } from "@isthmus/proto";
import fc from "fast-check";
import { planFrontend, planService } from "./plan.js";
import { type FrontendPlan, WEIGHTED_SLOTS } from "./types.js";

const IDS = { east: 1, west: 2, north: 3 } as const;
type Cluster = keyof typeof IDS;

function backend(cluster: Cluster, host: number, more: Partial<MergedBackend> = {}): MergedBackend {
  const [clusterId, port] = [IDS[cluster] as ClusterId, more.port ?? 8080];
  const words = addressWords(parseAddress(`10.${IDS[cluster]}.${host >> 8}.${host & 255}`));
  return {
    cluster: parseClusterName(cluster),
    clusterId,
    ...words,
    hash: backendHash(clusterId, words, port, more.protocol ?? TCP),
    port,
    protocol: TCP,
    ready: true,
    serving: false,
    node: "",
    weight: 1,
    ...more,
  };
}

const some = (cluster: Cluster, count: number, more: Partial<MergedBackend> = {}) =>
  Array.from({ length: count }, (_, i) => backend(cluster, i + 1, more));

function frontend(...tiers: readonly (readonly MergedBackend[])[]): MergedFrontend {
  return {
    service: "shop/cart" as ServiceName,
    address: parseAddress("10.96.0.10"),
    port: 80,
    protocol: TCP,
    portName: "http",
    global: true,
    rescueAfter: "auto",
    tiers: tiers.map((backends) => ({ clusters: [] as ClusterName[], backends })),
    excluded: [],
    notes: [],
  };
}

function plan(...tiers: readonly (readonly MergedBackend[])[]): FrontendPlan {
  const result = planFrontend(frontend(...tiers));
  assert.ok(result.ok);
  return result.plan;
}

const addresses = (slots: readonly MergedBackend[] | undefined) =>
  slots?.map((slot) => formatAddress(wordsAddress(slot)));

test("a tier holds its ready backends", () => {
  const { tiers } = plan([backend("east", 1), backend("east", 2, { ready: false })]);
  assert.deepEqual(
    tiers.map((tier) => addresses(tier.slots)),
    [["10.1.0.1"]],
  );
});

test("terminating backends that serve are used only when no tier has a ready one", () => {
  const leaving = { ready: false, serving: true };
  assert.deepEqual(
    plan(some("east", 3, leaving), some("west", 2)).tiers.map((tier) => tier.cluster),
    [IDS.west],
  );
  assert.deepEqual(
    plan(some("east", 3, leaving), some("west", 2, { ready: false })).tiers.map((tier) => tier.slots.length),
    [3],
  );
});

test("without ready or serving backends the plan has no tiers", () => {
  assert.deepEqual(plan(some("east", 2, { ready: false }), []).tiers, []);
  assert.deepEqual(plan().tiers, []);
});

test("a tier of one cluster has its id, a mixed one has 0", () => {
  const [mixed, only] = plan([...some("east", 1), ...some("west", 1)], some("north", 1)).tiers;
  assert.deepEqual([mixed?.cluster, only?.cluster], [0, IDS.north]);
});

test("tries reach every slot of up to 8 where the budget allows, earlier tiers first", () => {
  const tries = (...counts: readonly number[]) =>
    plan(...counts.map((count, i) => some((["east", "west", "north", "east"] as const)[i] ?? "east", count))).tiers.map(
      (tier) => tier.tries,
    );
  assert.deepEqual(tries(1), [0]);
  assert.deepEqual(tries(8), [7]);
  assert.deepEqual(tries(500), [7]);
  assert.deepEqual(tries(3, 3), [2, 2]);
  assert.deepEqual(tries(5, 5), [4, 2]);
  assert.deepEqual(tries(40, 40), [6, 0]);
  assert.deepEqual(tries(2, 4, 9), [1, 3, 1]);
  assert.deepEqual(tries(9, 9, 9, 9), [4, 0, 0, 0]);
});

test("more than four tiers are an error with a message", () => {
  const five = planFrontend(frontend(...[1, 2, 3, 4, 5].map((host) => [backend("east", host)])));
  assert.ok(!five.ok);
  assert.equal(five.error.code, "PLAN_TIERS");
  assert.equal(five.error.message, 'Cannot serve frontend 10.96.0.10:80/TCP of Service "shop/cart": more than 4 tiers');
  assert.deepEqual(
    planService([five.frontend, frontend(some("east", 1))]).map((result) => result.ok),
    [false, true],
  );
});

test("weights give repeated slots, reduced by the common divisor", () => {
  const light = backend("east", 1, { weight: 50 });
  const heavy = backend("east", 2, { weight: 150 });
  const slots = addresses(plan([light, heavy]).tiers[0]?.slots);
  assert.deepEqual([...(slots ?? [])].sort(), ["10.1.0.1", "10.1.0.2", "10.1.0.2", "10.1.0.2"]);
  assert.equal(plan(some("east", 3, { weight: 100 })).tiers[0]?.slots.length, 3);
});

test("weights with too large a ratio for a table are scaled in proportion, and every backend keeps a slot", () => {
  const share = (...weights: readonly number[]) => {
    const slots = plan(weights.map((weight, i) => backend("east", i + 1, { weight }))).tiers[0]?.slots ?? [];
    const counts = weights.map((_, i) => slots.filter((slot) => (slot.word3 & 255) === i + 1).length);
    return { counts, total: slots.length };
  };
  assert.deepEqual(share(1, 1000).counts, [1, 1000]);
  assert.deepEqual(share(1, 200_000).counts, [1, 1022]);
  assert.deepEqual(share(65_535, 65_534).counts, [512, 511]);
  const { counts, total } = share(4_294_967_295, 1, 2_147_483_647);
  assert.ok(total <= WEIGHTED_SLOTS);
  assert.ok((counts[0] ?? 0) > 650 && (counts[2] ?? 0) > 325 && counts[1] === 1, `${counts}`);
});

test("for any weights the table is bounded and has every backend", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 0xffff_ffff }), { minLength: 1, maxLength: 400 }), (weights) => {
      const slots = plan(weights.map((weight, i) => backend("west", i + 1, { weight }))).tiers[0]?.slots ?? [];
      assert.ok(slots.length <= Math.max(WEIGHTED_SLOTS, 4 * weights.length));
      assert.equal(new Set(slots).size, weights.length);
    }),
    { numRuns: 50 },
  );
});

test("a cluster that floods a Service displaces only its own backends", () => {
  const flood = Array.from({ length: Limit.Slots + 1000 }, (_, i) => backend("west", i & 0xffff, { word2: i >> 16 }));
  const slots = plan([...some("east", 3), ...flood, ...some("north", 2)]).tiers[0]?.slots ?? [];
  assert.equal(slots.length, Limit.Slots);
  const of = (cluster: Cluster) => slots.filter(({ clusterId }) => clusterId === IDS[cluster]).length;
  assert.deepEqual([of("east"), of("north"), of("west")], [3, 2, Limit.Slots - 5]);
  const again = plan([...flood].reverse(), []).tiers[0]?.slots ?? [];
  assert.equal(again.length, Limit.Slots, "alone it is cut as well");
});

test("the order of a new table is the same on every node and mixes clusters", () => {
  const golden = addresses(plan([...some("east", 4), ...some("west", 4)]).tiers[0]?.slots);
  assert.deepEqual(golden, GOLDEN);
});

/** If this order changes, the tables of nodes differ while two versions run in one mesh. */
const GOLDEN = ["10.1.0.1", "10.2.0.1", "10.2.0.3", "10.2.0.4", "10.2.0.2", "10.1.0.4", "10.1.0.2", "10.1.0.3"];

const backends = fc.uniqueArray(
  fc.record({
    cluster: fc.constantFrom<Cluster>("east", "west", "north"),
    host: fc.integer({ min: 1, max: 40 }),
    ready: fc.boolean(),
    serving: fc.boolean(),
    weight: fc.integer({ min: 1, max: 4 }),
    tier: fc.nat({ max: 3 }),
  }),
  { selector: ({ cluster, host }) => `${cluster} ${host}`, maxLength: 60 },
);

test("any order of the backends gives the same plan, within the limits", () => {
  fc.assert(
    fc.property(
      backends.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
      (orders) => {
        const [a, b] = orders.map((list) =>
          plan(
            ...[0, 1, 2, 3].map((tier) =>
              list
                .filter((spec) => spec.tier === tier)
                .map(({ cluster, host, ready, serving, weight }) => backend(cluster, host, { ready, serving, weight })),
            ),
          ).tiers.map((tier) => ({ ...tier, slots: addresses(tier.slots) })),
        );
        assert.deepEqual(a, b);
        assert.ok((a ?? []).reduce((sum, tier) => sum + 1 + tier.tries, 0) <= Limit.Probes);
        for (const { slots, tries } of a ?? []) assert.ok(tries >= 0 && tries < (slots?.length ?? 0));
      },
    ),
  );
});

test("the start slots of many tables spread evenly over the backends", () => {
  const first = new Map<string, number>();
  for (let port = 1; port <= 3000; port++) {
    const slot = plan(some("east", 3, { port })).tiers[0]?.slots[0];
    const key = formatAddress(slot === undefined ? parseAddress("::") : wordsAddress(slot));
    first.set(key, (first.get(key) ?? 0) + 1);
  }
  for (const count of first.values())
    assert.ok(Math.abs(count - 1000) < 120, `${count} of 3000 begin with one backend`);
});

test("a plan that explains names what it leaves out, after what the merge left out", () => {
  const [merged, ready] = [backend("west", 9), backend("east", 1)];
  const [leaving, gone] = [backend("east", 2, { ready: false, serving: true }), backend("west", 3, { ready: false })];
  const cause = BackendExclusion.BACKEND_EXCLUSION_NOT_SHARED;
  const asked = { ...frontend([ready, leaving], [gone]), excludedBackends: [{ backend: merged, cause, reason: "" }] };
  const result = planFrontend(asked);
  assert.ok(result.ok);
  assert.deepEqual(
    result.plan.excludedBackends?.map(({ backend, cause }) => [backend, cause]),
    [
      [merged, cause],
      [leaving, BackendExclusion.BACKEND_EXCLUSION_TERMINATING],
      [gone, BackendExclusion.BACKEND_EXCLUSION_NOT_READY],
    ],
  );
  assert.equal(plan([ready, leaving], [gone]).excludedBackends, undefined);
  const many = Array.from({ length: Limit.Slots + 2 }, (_, i) => backend("east", i & 0xffff, { word2: i >> 16 }));
  const full = planFrontend({ ...frontend(many), excludedBackends: [] });
  assert.ok(full.ok);
  assert.deepEqual(
    full.plan.excludedBackends?.map(({ cause }) => cause),
    [BackendExclusion.BACKEND_EXCLUSION_TOO_MANY, BackendExclusion.BACKEND_EXCLUSION_TOO_MANY],
  );
});
