import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendFlag, type BackendRow } from "@isthmus/bpf";
import { wordsAddress } from "@isthmus/clustermesh";
import { type ClusterId, type ClusterName, formatAddress, parseAddress, TCP, UDP } from "@isthmus/model";
import { Kind, Service, ServiceConfig, Slice } from "@isthmus/proto";
import { type HashedRecord, hashRecord, SERVICE_CONFIG_KIND } from "@isthmus/records";
import { HTTP, makeConfig, makeNode, makeService, makeSlice } from "@isthmus/testing";
import type { SourceDelta } from "../sync/source-types.js";
import { whole } from "../testing/whole.js";
import { createMeshState, type MeshState } from "./mesh-state.js";
import { createDesiredState } from "./services/desired-state.js";
import { frontendName, otherProxyName } from "./services/frontends.js";
import { recordsFromKernel, type ServedFrontends } from "./services/records-from-kernel.js";

const VIP = parseAddress("10.96.0.10");
const FRONTEND = frontendName(VIP, 80, TCP);
const FLOOR = { storeId: Buffer.alloc(16, 1), revision: 1n, versions: [], added: [] };

function delta(
  clusterId: number,
  upserts: readonly HashedRecord[],
  turn: SourceDelta["transition"] = "none",
): SourceDelta {
  return { clusterId, upserts, deletes: [], floor: FLOOR, observedUs: 0n, whole: true, transition: turn };
}

function makeWorld(served: ServedFrontends = new Map()) {
  const desired = createDesiredState();
  const refused: string[] = [];
  const own = { node: "n1", cluster: "east" as ClusterName, clusterId: 1 as ClusterId };
  const refuse = (_: number, key: string) => void refused.push(key);
  const policy = {
    prefixMap: { name: "prefixes", maxEntries: 1024 },
    inMaps: { inUse: [], prefixes: new Map<string, number>() },
    kept: [],
  };
  const world: MeshState = createMeshState(
    { ...own, ...policy },
    {
      desired,
      *served() {
        yield;
        return served;
      },
      servedClusters: new Set([1, 2]),
      localServiceRecords: [],
      refuse,
    },
  );
  const tiers = () => {
    const wanted = desired.get(FRONTEND);
    if (wanted?.kind !== "service") return undefined;
    return wanted.tiers.map(({ slots }) => slots.map((slot) => formatAddress(wordsAddress(slot))));
  };
  return { world, desired, refused, tiers };
}

function row(cluster: number, address: string, port = 8080, flags = 0): BackendRow {
  return { id: 1, port, proto: TCP, state: 0, node: 0, cluster, zone: 0, flags, addr: parseAddress(address) };
}

const OWN = [
  makeService("shop/cart", { ip: "10.96.0.10" }),
  makeConfig("shop/cart"),
  makeSlice("shop/cart", { ready: ["10.11.0.1"] }),
];

test("an apply of several sources uses the last update of each record, in the order of kinds", () => {
  const { world, tiers } = makeWorld();
  whole(
    world.take([
      delta(2, [makeSlice("shop/cart", { ready: ["10.12.0.1"] })]),
      delta(2, [makeService("shop/cart")]),
      delta(0, OWN, "first"),
    ]),
  );
  const changes = whole(world.flush());
  assert.equal(changes.sweepFrontends, true);
  assert.deepEqual(
    tiers()?.map((tier) => [...tier].sort()),
    [["10.11.0.1", "10.12.0.1"]],
  );
});

test("rescue-after follows the local cluster's configuration of the Service, and no other's", () => {
  const { world, desired } = makeWorld();
  const configured = (clusterId: number, fields: Partial<ServiceConfig>, turn?: SourceDelta["transition"]) => {
    const value = { ...ServiceConfig.fromPartial({}), ...fields };
    const record = SERVICE_CONFIG_KIND.record("service-configs/shop/cart", value);
    whole(world.take([delta(clusterId, clusterId === 0 ? [...OWN, record] : [record], turn)]));
    const { frontends } = whole(world.flush());
    const wanted = desired.get(FRONTEND);
    return [frontends.has(FRONTEND), wanted?.kind === "service" && wanted.rescueAfter];
  };
  assert.deepEqual(configured(0, {}, "first"), [true, "auto"]);
  assert.deepEqual(configured(0, { rescueAfterMs: 250 }), [true, 250]);
  assert.deepEqual(configured(2, { noRescue: true }), [false, 250]);
  assert.deepEqual(configured(0, { noRescue: true }), [true, "off"]);
});

test("a cluster removed and added again in one apply has only its records after that", () => {
  const { world, tiers } = makeWorld();
  const before = [makeService("shop/cart"), makeSlice("shop/cart", { ready: ["10.12.0.1"] })];
  const after = [makeService("shop/cart"), makeSlice("shop/cart", { ready: ["10.12.0.2"], slice: "z" })];
  whole(
    world.take([
      delta(0, OWN, "first"),
      delta(2, before, "first"),
      { ...delta(2, []), transition: "removed", floor: undefined },
      delta(2, after, "first"),
    ]),
  );
  whole(world.flush());
  assert.deepEqual(tiers()?.flat().sort(), ["10.11.0.1", "10.12.0.2"]);
  assert.deepEqual([...world.clustersInSync].sort(), [1, 2]);
});

test("a Service follows local pods, whatever weights and numbers of backends a peer has", () => {
  const { world, tiers } = makeWorld();
  const hostile = [
    ["10.12.0.1", 4_294_967_295],
    ["10.12.0.2", 4_294_967_294],
  ] as const;
  const backends = hostile.map(([text, weight]) => ({
    address: Buffer.from(parseAddress(text)),
    conditions: 1,
    weight,
  }));
  const value = Slice.encode(Slice.fromPartial({ family: 4, ports: [{ ...HTTP, port: 8080 }], backends })).finish();
  const flood = Array.from({ length: 700 }, (_, slice) =>
    makeSlice("shop/cart", {
      slice: `s${slice}`,
      ready: Array.from({ length: 200 }, (_, i) => `10.${20 + (slice >> 8)}.${slice & 255}.${i}`),
    }),
  );
  const weighted = hashRecord(Kind.KIND_SLICE, "slices/shop/cart/weighted", value);
  for (const slices of [[weighted], flood]) {
    whole(world.take([delta(0, OWN, "first"), delta(2, [makeService("shop/cart"), ...slices], "first")]));
    whole(world.flush());
    assert.deepEqual([...world.planErrors], []);
    const served = tiers()?.flat() ?? [];
    assert.ok(served.includes("10.11.0.1") && served.length > 2 && served.length <= 131_071, `${served.length}`);
    whole(world.take([delta(0, [makeSlice("shop/cart", { ready: ["10.11.0.2"] })])]));
    whole(world.flush());
    const after = new Set(tiers()?.flat());
    assert.deepEqual([after.has("10.11.0.1"), after.has("10.11.0.2")], [false, true]);
  }
});

test("nodes of all clusters are reported by name, and removed with their cluster", () => {
  const { world } = makeWorld();
  whole(
    world.take([
      delta(0, [makeNode("n1", "172.18.0.1", "10.11.0.0/24")]),
      delta(2, [makeNode("n1", "172.19.0.1", "10.12.0.0/24")]),
    ]),
  );
  assert.deepEqual([...whole(world.flush()).nodes.keys()], ["1/n1", "2/n1"]);
  whole(world.take([{ ...delta(2, []), transition: "removed" }]));
  const { nodes, routes } = whole(world.flush());
  assert.deepEqual([[...nodes], routes], [[["2/n1", undefined]], true]);
});

test("records from the kernel have each address once, with slots, node and terminating flag, and one slice per port", () => {
  const dns = { name: "dns", protocol: UDP, port: 53 };
  const served: ServedFrontends = new Map([
    [
      FRONTEND,
      [
        {
          tries: 0,
          cluster: 0,
          slots: [
            { ...row(2, "10.12.0.1"), node: 7 },
            { ...row(2, "10.12.0.1"), node: 7 },
            row(2, "10.12.0.2", 9090, BackendFlag.Terminating),
            row(1, "10.11.0.1"),
          ],
        },
      ],
    ],
    [frontendName(VIP, 53, UDP), [{ tries: 0, cluster: 2, slots: [row(2, "10.12.0.1", 5353)] }]],
  ]);
  const records = recordsFromKernel(served, 2, "shop/cart" as never, {
    ports: [HTTP, dns],
    frontends: [Buffer.from(VIP)],
  });
  const [service, ...slices] = records;
  assert.deepEqual(
    Service.decode(service?.value ?? Buffer.alloc(0)).ports.map(({ name }) => name),
    ["http", "dns"],
  );
  const read = slices.map(({ value }) => Slice.decode(value));
  assert.deepEqual(
    read.map(({ ports, backends: [first] }) => [
      `${ports[0]?.name} ${ports[0]?.port}`,
      [first?.conditions, first?.weight, first?.node],
    ]),
    [
      ["http 8080", [1, 2, "#7"]],
      ["http 9090", [6, 1, ""]],
      ["dns 5353", [1, 1, ""]],
    ],
  );
  assert.ok(read.every(({ backends }) => backends.length === 1));
  assert.deepEqual(
    recordsFromKernel(served, 3, "shop/cart" as never, { ports: [HTTP], frontends: [Buffer.from(VIP)] }),
    [],
  );
});

test("a source in sync replaces its placeholder records, and removes those that it does not have", () => {
  const served: ServedFrontends = new Map([
    [FRONTEND, [{ tries: 0, cluster: 0, slots: [row(2, "10.12.0.1"), row(1, "10.11.0.1")] }]],
  ]);
  const { world, tiers } = makeWorld(served);
  whole(world.take([delta(0, OWN, "first")]));
  whole(world.flush());
  assert.deepEqual(tiers()?.flat().sort(), ["10.11.0.1", "10.12.0.1"]);
  whole(world.take([delta(2, [], "first")]));
  whole(world.flush());
  assert.deepEqual(tiers()?.flat(), ["10.11.0.1"]);
});

test("a large apply runs in slices, with all upserts before the first deletion", () => {
  const { world } = makeWorld();
  const services = Array.from({ length: 2500 }, (_, i) =>
    makeService(`shop/s${i}`, { ip: `10.96.${i >> 8}.${i & 255}` }),
  );
  whole(world.take([delta(0, services.slice(0, 1), "first")]));
  whole(world.flush());
  const gone = { kind: Kind.KIND_SERVICE, key: "services/shop/s0" };
  const take = world.take([{ ...delta(0, services.slice(1)), deletes: [gone] }]);
  assert.equal(take.next().done, false);
  assert.equal(world.merger.views.get("east" as never)?.services.has("shop/s0" as never), true);
  whole(take);
  const flush = world.flush();
  let slices = 1;
  let step = flush.next();
  for (; step.done !== true; step = flush.next()) slices++;
  assert.deepEqual([slices, step.value.frontends.size], [313, 5000]);
});

test("a cluster counts as in sync only after all its records are taken", () => {
  const { world } = makeWorld();
  const nodes = Array.from({ length: 2500 }, (_, i) =>
    makeNode(`n${i}`, `172.18.${i >> 8}.${i & 255}`, "10.11.0.0/24"),
  );
  const take = world.take([delta(2, nodes, "first")]);
  take.next();
  assert.deepEqual([...world.clustersInSync], []);
  whole(take);
  assert.deepEqual([...world.clustersInSync], [2]);
});

test("a VIP that another proxy serves is left alone, with or without a frontend, until the label is removed", () => {
  const { world, desired } = makeWorld();
  const config = (left: readonly Uint8Array[]) =>
    SERVICE_CONFIG_KIND.record(
      "service-configs/shop/cart",
      ServiceConfig.fromPartial({ otherProxy: "other", leftFrontends: left.map((address) => Buffer.from(address)) }),
    );
  const row = otherProxyName(VIP);
  whole(world.take([delta(0, [config([VIP, Buffer.alloc(3)])], "first")]));
  const first = whole(world.flush());
  assert.deepEqual([[...first.frontends], desired.get(row)], [[row], { kind: "left" }]);
  whole(world.take([delta(0, OWN)]));
  whole(world.flush());
  assert.deepEqual([desired.get(row), desired.get(FRONTEND)?.kind], [{ kind: "reject" }, "service"]);
  whole(
    world.take([
      {
        ...delta(0, [config([VIP])]),
        deletes: [{ kind: Kind.KIND_SERVICE, key: "services/shop/cart" }],
      },
    ]),
  );
  assert.ok(whole(world.flush()).frontends.has(row));
  assert.deepEqual([desired.get(row), desired.get(FRONTEND)], [{ kind: "left" }, undefined]);
  whole(
    world.take([{ ...delta(0, []), deletes: [{ kind: Kind.KIND_SERVICE_CONFIG, key: "service-configs/shop/cart" }] }]),
  );
  whole(world.flush());
  assert.deepEqual([desired.get(row), desired.size], [undefined, 0]);
});
