import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "@isthmus/model";
import { Affinity, BackendExclusion, Family } from "@isthmus/proto";
import { wordsAddress } from "./address-words.js";
import { explainService } from "./merge-service.js";
import {
  type Change,
  CART,
  cart,
  config,
  globalWith,
  mesh,
  NOT_READY,
  READY,
  reasons,
  service,
  show,
  slice,
  TERMINATING,
  tiers,
} from "./testing/test-mesh.js";

const EAST = [service("east"), slice("east", { backends: { "10.11.0.1": READY } })];
const WEST = [service("west"), slice("west", { backends: { "10.12.0.1": READY } })];

test("a Service that is not global uses only local slices", () => {
  const frontends = cart([...EAST, ...WEST]);
  assert.deepEqual(tiers(frontends[0]), [["east 10.11.0.1:8080 ready"]]);
  assert.match(reasons(frontends)["west"] ?? "", /^Service is not global here: .*"service.cilium.io\/global"/);
  assert.deepEqual(tiers(cart([...EAST, ...WEST, config({ global: false })])[0]), [["east 10.11.0.1:8080 ready"]]);
});

test("without a local Service there is no frontend", () => {
  assert.deepEqual(cart([...WEST, globalWith()]), []);
});

test("a headless Service has no frontend", () => {
  assert.deepEqual(cart([service("east", { frontends: [] }), ...EAST.slice(1), globalWith()]), []);
});

test("affinity none puts all clusters into one tier", () => {
  const [frontend] = cart([...EAST, ...WEST, globalWith()]);
  assert.deepEqual(tiers(frontend), [["east 10.11.0.1:8080 ready", "west 10.12.0.1:8080 ready"]]);
  assert.deepEqual(frontend?.tiers[0]?.clusters, ["east", "west"]);
});

test("affinity local tries the local cluster first, then all others", () => {
  const north = [service("north"), slice("north", { backends: { "10.13.0.1": READY } })];
  const [frontend] = cart([...EAST, ...WEST, ...north, globalWith(Affinity.AFFINITY_LOCAL)], ["east", "west", "north"]);
  assert.deepEqual(tiers(frontend), [
    ["east 10.11.0.1:8080 ready"],
    ["north 10.13.0.1:8080 ready", "west 10.12.0.1:8080 ready"],
  ]);
});

test("affinity remote tries all other clusters first", () => {
  const [frontend] = cart([...EAST, ...WEST, globalWith(Affinity.AFFINITY_REMOTE)]);
  assert.deepEqual(tiers(frontend), [["west 10.12.0.1:8080 ready"], ["east 10.11.0.1:8080 ready"]]);
});

test("with affinity local a single cluster has one tier", () => {
  assert.deepEqual(tiers(cart([...EAST, globalWith(Affinity.AFFINITY_LOCAL)], ["east"])[0]), [
    ["east 10.11.0.1:8080 ready"],
  ]);
});

test("shared false withdraws the exporter's backends and gives the reason", () => {
  const frontends = cart([...EAST, service("west", { shared: false }), ...WEST.slice(1), globalWith()]);
  assert.deepEqual(tiers(frontends[0]), [["east 10.11.0.1:8080 ready"]]);
  assert.match(reasons(frontends)["west"] ?? "", /^Service is not shared there/);
});

test("shared only affects the export: the local cluster still uses its local backends", () => {
  const frontends = cart([service("east", { shared: false }), ...EAST.slice(1), ...WEST, globalWith()]);
  assert.equal(tiers(frontends[0])[0]?.length, 2);
});

test("slices without an exported Service contribute nothing", () => {
  const frontends = cart([...EAST, ...WEST.slice(1), globalWith()]);
  assert.deepEqual(tiers(frontends[0]), [["east 10.11.0.1:8080 ready"]]);
  assert.match(reasons(frontends)["west"] ?? "", /^No global Service with a ClusterIP there/);
});

test("ports are matched by name and protocol, and their numbers may differ", () => {
  const west = [
    service("west", { ports: ["http:8000", "dns:53/17"] }),
    slice("west", { ports: ["http:3000", "dns:5353/17"], backends: { "10.12.0.1": READY } }),
  ];
  const [frontend] = cart([...EAST, ...west, globalWith()]);
  assert.equal(frontend?.port, 80);
  assert.deepEqual(tiers(frontend)[0]?.[1], "west 10.12.0.1:3000 ready");
});

test("a cluster without a port is only kept out of frontends of that port", () => {
  const east = [
    service("east", { ports: ["dns:53/17", "http:80"] }),
    slice("east", { ports: ["dns:5353/17", "http:8080"], backends: { "10.11.0.1": READY } }),
  ];
  const west = [
    service("west", { ports: ["dns:53", "http:80"] }),
    slice("west", { ports: ["dns:5353", "http:8080"], backends: { "10.12.0.1": READY } }),
  ];
  const [dns, http] = cart([...east, ...west, globalWith()]);
  assert.deepEqual(
    dns?.excluded.map(({ cluster, reason }) => [cluster, reason.split(":")[0]]),
    [["west", 'Service has no port "dns"/UDP there']],
  );
  assert.deepEqual(http?.excluded, []);
  assert.deepEqual(tiers(http)[0]?.length, 2);
});

test("a port without a name only matches a port without a name", () => {
  const east = [service("east", { ports: [":80"] }), slice("east", { ports: [":8080"], backends: {} })];
  const frontends = cart([...east, ...WEST, globalWith()]);
  assert.match(reasons(frontends)["west"] ?? "", /^Service has no port \(no name\)\/TCP there: give/);
});

test("the reason distinguishes a cluster without pods, without backends for the port, and without slices", () => {
  const reason = (...west: ReturnType<typeof slice>[]) =>
    reasons(cart([...EAST, service("west"), ...west, globalWith()]))["west"] ?? "";
  assert.match(reason(slice("west", { backends: {} })), /^Service has no pods there, or none inside its pod ranges/);
  assert.match(reason(slice("west", { ports: [], backends: {} })), /^Service has no pods there/);
  const other = slice("west", { ports: ["admin:81"], backends: { "10.12.0.1": READY } });
  assert.match(reason(other), /^No backends for port "http"\/TCP come from there: see/);
  assert.match(reason(), /^No backends for port "http"\/TCP come from there: see/);
});

test("conditions: ready, terminating but serving, neither", () => {
  const backends = { "10.11.0.1": READY, "10.11.0.2": TERMINATING, "10.11.0.3": NOT_READY, "10.11.0.4": 0b010 };
  assert.deepEqual(tiers(cart([service("east"), slice("east", { backends })])[0]), [
    [
      "east 10.11.0.1:8080 ready",
      "east 10.11.0.2:8080 serving",
      "east 10.11.0.3:8080 not ready",
      "east 10.11.0.4:8080 not ready",
    ],
  ]);
});

test("the same address and port twice is one backend: ready wins, then the earlier tier", () => {
  const twice = [
    slice("east", { slice: "cart-a", backends: { "10.11.0.1": NOT_READY } }),
    slice("east", { slice: "cart-b", backends: { "10.11.0.1": READY } }),
  ];
  assert.deepEqual(tiers(cart([service("east"), ...twice])[0]), [["east 10.11.0.1:8080 ready"]]);

  const across = [service("west"), slice("west", { backends: { "10.11.0.1": READY } })];
  const local = globalWith(Affinity.AFFINITY_LOCAL);
  assert.deepEqual(tiers(cart([...EAST, ...across, local])[0]), [["east 10.11.0.1:8080 ready"], []]);
  assert.deepEqual(tiers(cart([service("east"), twice[0] ?? local, ...across, local])[0]), [
    [],
    ["west 10.11.0.1:8080 ready"],
  ]);
});

test("a frontend only has backends of its address family", () => {
  const dual = [
    service("east", { frontends: ["10.96.0.10", "fd00::10"] }),
    slice("east", { backends: { "10.11.0.1": READY } }),
    slice("east", { slice: "cart-6", family: Family.FAMILY_IPV6, backends: { "fd01::1": READY, "10.11.0.9": READY } }),
  ];
  const frontends = cart(dual);
  const byAddress = Object.fromEntries(
    frontends.map((f) => [formatAddress(f.address), f.tiers[0]?.backends.map((b) => formatAddress(wordsAddress(b)))]),
  );
  assert.deepEqual(byAddress, { "10.96.0.10": ["10.11.0.1"], "fd00::10": ["fd01::1"] });
});

test("rescue-after of the config is on every frontend, within its bounds; without a config it is auto", () => {
  const rescue = (settings: Parameters<typeof config>[0]) => cart([...EAST, config(settings)])[0]?.rescueAfter;
  assert.equal(cart(EAST)[0]?.rescueAfter, "auto");
  assert.equal(rescue({}), "auto");
  assert.equal(rescue({ rescueAfterMs: 250 }), 250);
  assert.equal(rescue({ rescueAfterMs: 1 }), 50);
  assert.equal(rescue({ noRescue: true, rescueAfterMs: 250 }), "off");
});

test("notes of the config are on every frontend", () => {
  const notes = ["sessionAffinity ClientIP is served as None"];
  assert.deepEqual(cart([...EAST, config({ notes })])[0]?.notes, notes);
});

test("backends of a remote cluster in a frontend are limited independently of the order of its slices; local ones are not limited", () => {
  const backends = (i: number, n: number) =>
    Object.fromEntries(
      Array.from({ length: n }, (_, j) => [`10.${2 + (i >> 5)}.${((i & 31) << 3) + (j >> 8)}.${j & 255}`, READY]),
    );
  const flood = (cluster: string) =>
    Array.from({ length: 40 }, (_, i) =>
      slice(cluster, { slice: `s${String(i).padStart(2, "0")}`, backends: backends(i, 1000) }),
    );
  const merged = (changes: readonly Change[]) => cart([globalWith(), service("east"), service("west"), ...changes])[0];
  const [there, back] = [flood("west"), flood("west").reverse()].map((slices) =>
    (merged(slices)?.tiers ?? []).flatMap((tier) => tier.backends.map(show)),
  );
  assert.equal(there?.length, 32_000, "whole slices of at most 32,768 backends");
  assert.deepEqual(there, back);
  assert.deepEqual(merged(flood("west"))?.notes, [
    'Cluster "west" has 40000 backends, of which 32000 are used: split the Service',
  ]);
  const local = merged(flood("east"))?.tiers.flatMap((tier) => tier.backends);
  assert.equal(local?.length, 40_000);
});

/** Why each backend is left out of the first frontend, by `show`; and the same frontend without that. */
function explained(changes: readonly Change[], clusters?: readonly string[]) {
  const { views, configs } = mesh(changes, clusters);
  const [first] = explainService(CART, views, configs);
  assert.ok(first?.excludedBackends !== undefined);
  const { excludedBackends, ...rest } = first;
  assert.deepEqual(rest, cart(changes, clusters)[0], "explaining changes nothing of the merge");
  const all = Object.fromEntries(
    excludedBackends.map(({ backend, cause, reason }) => [show(backend), { cause, reason }]),
  );
  const cause = (address: string) => all[Object.keys(all).find((text) => text.includes(address)) ?? ""]?.cause;
  return { all, cause, tiers: tiers(first).flat() };
}

test("each backend that is left out has the reason of what left it out", () => {
  const port = slice("west", { slice: "cart-b", ports: ["web:8080"], backends: { "10.12.0.2": READY } });
  const six = slice("east", { slice: "cart-6", family: Family.FAMILY_IPV6, backends: { "fd00::1": READY } });
  const again = slice("west", { slice: "cart-c", backends: { "10.12.0.1": NOT_READY } });
  const { all, cause, tiers: used } = explained([...EAST, six, ...WEST, port, again, globalWith()]);
  assert.deepEqual(used, ["east 10.11.0.1:8080 ready", "west 10.12.0.1:8080 ready"]);
  assert.equal(cause("10.12.0.2"), BackendExclusion.BACKEND_EXCLUSION_PORT);
  assert.equal(cause("west 10.12.0.1:8080 not ready"), BackendExclusion.BACKEND_EXCLUSION_DUPLICATE);
  assert.equal(Object.keys(all).length, 3);
  const family = Object.values(all).find(({ cause }) => cause === BackendExclusion.BACKEND_EXCLUSION_FAMILY);
  assert.match(family?.reason ?? "", /address is IPv6, and the frontend's is IPv4/);
});

test("the backends of a cluster that may not contribute have the reason of their cluster", () => {
  const [, slices] = WEST;
  assert.ok(slices !== undefined);
  for (const [changes, wanted] of [
    [[...WEST], BackendExclusion.BACKEND_EXCLUSION_NOT_GLOBAL_HERE],
    [[slices, globalWith()], BackendExclusion.BACKEND_EXCLUSION_NOT_GLOBAL_THERE],
    [[service("west", { shared: false }), slices, globalWith()], BackendExclusion.BACKEND_EXCLUSION_NOT_SHARED],
    [[service("west", { ports: ["web:80"] }), slices, globalWith()], BackendExclusion.BACKEND_EXCLUSION_PORT],
  ] as const) {
    const { cause, tiers: used } = explained([...EAST, ...changes]);
    assert.deepEqual([used, cause("10.12.0.1")], [["east 10.11.0.1:8080 ready"], wanted]);
  }
});
