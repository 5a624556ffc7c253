import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterName, parseClusterName, type ServiceName } from "@isthmus/model";
import { Affinity, Kind } from "@isthmus/proto";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import { mergeAll } from "./merge-service.js";
import {
  CART,
  type Change,
  config,
  deletion,
  globalWith,
  mesh,
  play,
  READY,
  service,
  slice,
} from "./testing/test-mesh.js";

const CLUSTERS = ["east", "west", "north"];

/** Final records of a small random mesh, with few addresses and names so that they collide. */
const records = fc.uniqueArray(
  fc.record({
    cluster: fc.constantFrom(...CLUSTERS),
    what: fc.constantFrom("service", "a", "b", "config"),
    name: fc.constantFrom("shop/cart", "shop/pay"),
    shared: fc.boolean(),
    affinity: fc.constantFrom(0, 1, 2),
    ports: fc.subarray(["http:80", "dns:53/17", ":443"]),
    backends: fc.dictionary(fc.constantFrom("10.1.0.1", "10.1.0.2", "10.1.0.3"), fc.constantFrom(0, 2, 3, 6)),
  }),
  { selector: ({ cluster, what, name }) => `${what === "config" ? "" : cluster} ${what} ${name}`, maxLength: 14 },
);

type Spec = typeof records extends fc.Arbitrary<(infer T)[]> ? T : never;

function change(spec: Spec): Change {
  const { cluster, name, ports, shared, backends } = spec;
  if (spec.what === "service") return service(cluster, { name, ports, shared });
  if (spec.what === "config") return config({ global: shared, affinity: spec.affinity }, name as ServiceName);
  return slice(cluster, { name, slice: `s-${spec.what}`, ports, backends });
}

test("the same records in any order, with deletions in between, give the same table", () => {
  const shuffled = records.chain((specs) =>
    fc.record({
      specs: fc.constant(specs),
      order: fc.shuffledSubarray(specs, { minLength: specs.length }),
      clusters: fc.shuffledSubarray(CLUSTERS, { minLength: CLUSTERS.length }),
      blinks: fc.subarray(specs),
    }),
  );
  fc.assert(
    fc.property(shuffled, ({ specs, order, clusters, blinks }) => {
      const straight = mesh(specs.map(change), CLUSTERS);
      straight.flushServices();
      const ids = new Map(straight.views);
      const other = mesh([], []);
      for (const name of clusters) {
        const view = ids.get(name as ClusterName);
        if (view !== undefined) other.addCluster({ cluster: view.cluster, id: view.id, local: view.local });
      }
      for (const spec of order) {
        play(other, [change(spec)]);
        if (blinks.includes(spec)) {
          other.flushServices();
          play(other, [deletion(change(spec))]);
          other.flushServices();
          play(other, [change(spec)]);
        }
      }
      other.flushServices();
      const sorted = (table: ReadonlyMap<string, unknown>) => [...table].sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(sorted(other.table), sorted(straight.table));
      assert.deepEqual(sorted(mergeAll(other.views, other.configs)).filter(notEmpty), sorted(straight.table));
    }),
    fastCheckOptions(300),
  );
});

const notEmpty = ([, frontends]: readonly [string, unknown]) => Array.isArray(frontends) && frontends.length > 0;

test("a change makes only its own Service dirty, and flush returns only what changed", () => {
  const merger = mesh([service("east"), service("east", { name: "shop/pay" })]);
  assert.deepEqual([...merger.flushServices().keys()], ["shop/cart", "shop/pay"]);
  play(merger, [slice("west", { backends: {} })]);
  assert.deepEqual([...merger.dirty], [CART]);
  assert.deepEqual([...merger.flushServices().keys()], [CART]);
  assert.equal(merger.flushServices().size, 0);
});

test("a deleted Service is returned once, without frontends", () => {
  const merger = mesh([service("east")]);
  merger.flushServices();
  play(merger, [deletion(service("east"))]);
  assert.deepEqual([...merger.flushServices()], [[CART, []]]);
  assert.equal(merger.table.size, 0);
  play(merger, [slice("east", { backends: {} })]);
  assert.equal(merger.flushServices().size, 0);
});

test("removing a cluster removes its backends", () => {
  const west = [service("west"), slice("west", { backends: { "10.12.0.1": READY } })];
  const merger = mesh([service("east"), ...west, globalWith(Affinity.AFFINITY_LOCAL)]);
  merger.flushServices();
  assert.equal(merger.table.get(CART)?.[0]?.tiers.length, 2);
  merger.removeCluster(parseClusterName("west"));
  merger.flushServices();
  assert.equal(merger.table.get(CART)?.[0]?.tiers.length, 1);
});

test("a ServiceConfig of another cluster has no effect", () => {
  const theirs = config({ global: true, noRescue: true, rescueAfterMs: 70 });
  const merger = mesh([service("east"), service("west"), { ...theirs, cluster: "west" }]);
  merger.flushServices();
  const [frontend] = merger.table.get(CART) ?? [];
  assert.deepEqual([frontend?.global, frontend?.rescueAfter], [false, "auto"]);
});

test("values that do not decode and malformed keys change nothing", () => {
  const merger = mesh([service("east")]);
  merger.flushServices();
  const broken = Uint8Array.of(0x0a, 0xff);
  assert.throws(() => merger.upsert("east" as ClusterName, Kind.KIND_SERVICE, `services/${CART}`, broken));
  assert.deepEqual(merger.upsert("east" as ClusterName, Kind.KIND_SERVICE, "services/shop", broken), []);
  assert.equal(merger.dirty.size, 0);
  assert.equal(merger.table.get(CART)?.length, 1);
});

test("10,000 global Services of two clusters are merged by one flush, and a change makes only one dirty", () => {
  const merger = mesh(
    Array.from({ length: 10_000 }, (_, i) => {
      const name = `load/s${i}`;
      const at = (cluster: number) => `10.${cluster}.${i >> 8}.${i & 255}`;
      return [
        service("east", { name, frontends: [at(96)] }),
        config({ global: true, affinity: Affinity.AFFINITY_LOCAL }, name as ServiceName),
        slice("east", { name, backends: { [at(11)]: READY, [at(21)]: READY } }),
        service("west", { name }),
        slice("west", { name, backends: { [at(12)]: READY, [at(22)]: READY } }),
      ];
    }).flat(),
  );
  merger.flushServices();
  assert.equal(merger.table.size, 10_000);
  const began = performance.now();
  assert.equal(mergeAll(merger.views, merger.configs).size, 10_000);
  assert.ok(performance.now() - began < 10_000);
  play(merger, [slice("west", { name: "load/s7", backends: { "10.12.0.7": READY } })]);
  assert.equal(merger.flushServices().size, 1);
});
