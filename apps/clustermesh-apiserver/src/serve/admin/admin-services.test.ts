import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, serviceName } from "@isthmus/model";
import { createLogger, silentLogger } from "@isthmus/observe";
import {
  Affinity,
  Family,
  type FrontendReport,
  Kind,
  type Position,
  Service,
  ServiceConfig,
  Slice,
} from "@isthmus/proto";
import {
  frontendStateText,
  hashRecord,
  remotePosition,
  SERVICE_CONFIG_KIND,
  SERVICE_KIND,
  SLICE_KIND,
  serviceConfigKey,
  serviceKey,
  sliceKey,
} from "@isthmus/records";
import { createFakeSource, createFakeSources } from "../../testing/fake-source.js";
import { listServices } from "./admin-services.js";
import { type AgentNode, appliedServices } from "./applied-records.js";

const CART = serviceName("shop", "cart");
const [READY, SERVES_STILL, GONE] = [3, 6, 0];

/** Cart in one cluster: its backends' conditions, in the order of their addresses. */
function cluster(id: number, name: string, config: Partial<ServiceConfig>, ...conditions: readonly number[]) {
  const source = createFakeSource(id, name);
  const ports = [{ name: "http", protocol: 6, port: 80 }];
  const address = (host: string) => Buffer.from(parseAddress(host));
  const backends = conditions.map((each, i) => ({ address: address(`10.1${id}.0.${i + 1}`), conditions: each }));
  const upserts = [
    SERVICE_KIND.record(
      serviceKey(CART),
      Service.fromPartial({ shared: true, ports, frontends: [address("10.96.0.7")], uid: "u" }),
    ),
    SERVICE_CONFIG_KIND.record(serviceConfigKey(CART), ServiceConfig.fromPartial({ global: true, ...config })),
    SLICE_KIND.record(sliceKey(CART, "cart-1"), Slice.fromPartial({ family: Family.FAMILY_IPV4, ports, backends })),
  ];
  source.index.apply({ upserts, deletes: [], position: source.change({}), observedMicros: 1 });
  return source;
}

async function cart(...clusters: readonly ReturnType<typeof cluster>[]): Promise<FrontendReport> {
  const modules = { sources: createFakeSources(...clusters), log: silentLogger };
  const [found, ...more] = await listServices(modules, 1, { namespace: "", globalOnly: false });
  assert.ok(found !== undefined && more.length === 0);
  return found;
}

const local = { affinity: Affinity.AFFINITY_LOCAL };

test("the first tier with a ready backend is active, else the first with a serving one; otherwise the status is an error", async () => {
  const active = async (east: readonly number[], west: readonly number[]) => {
    const { tiers, status } = await cart(cluster(0, "east", local, ...east), cluster(2, "west", {}, ...west));
    return [...tiers.map((tier) => tier.active), status];
  };
  assert.deepEqual(await active([SERVES_STILL], [READY]), [false, true, "Merged"]);
  assert.deepEqual(await active([SERVES_STILL], []), [true, false, "Merged"]);
  assert.deepEqual(await active([GONE], []), [false, false, "Error: no ready backend"]);
});

test("when its connects are moved is shown as the local cluster says it, whatever another one says", async () => {
  const west = cluster(2, "west", { noRescue: true, rescueAfterMs: 70 }, READY);
  const rescue = async (config: Partial<ServiceConfig>) => {
    const { noRescue, rescueAfterMs } = await cart(cluster(0, "east", config, READY), west);
    return [noRescue, rescueAfterMs];
  };
  assert.deepEqual(await rescue({}), [false, 0]);
  assert.deepEqual(await rescue({ rescueAfterMs: 250 }), [false, 250]);
  assert.deepEqual(await rescue({ noRescue: true }), [true, 0]);
});

test("the reason that excludes a cluster is shown in its tier, or as a note if no tier names the cluster", async () => {
  const west = cluster(2, "west", {});
  const said = await cart(cluster(0, "east", { notes: ["a note"] }, READY), west);
  const [east, other] = said.tiers.flatMap(({ clusters }) => clusters);
  assert.deepEqual([east?.cluster, east?.keptOut, other?.cluster], ["east", "", "west"]);
  assert.match(other?.keptOut ?? "", /^Service has no pods there/);
  assert.deepEqual(said.notes, ["a note"]);
  const { tiers, notes } = await cart(cluster(0, "east", { global: false }, READY), west);
  assert.deepEqual(
    tiers.flatMap(({ clusters }) => clusters.map(({ cluster: name }) => name)),
    ["east"],
  );
  assert.match(notes.join(), /^west: Service is not global here/);
});

test("Done means applied on every node; a Service that one node lacks is Applying, and no other Service is", async () => {
  const east = cluster(0, "east", local, READY);
  const west = cluster(2, "west", {}, READY);
  const sources = createFakeSources(east, west);
  const north = createFakeSource(3, "north");
  north.change({ "services/shop/other": "" });
  const held = new Map<string, Position | undefined>();
  const hold = (node: string) => {
    for (const { clusterId, index } of sources.all) held.set(`${node} ${clusterId}`, index.announced);
  };
  const status = async (agents: readonly AgentNode[] | undefined) => {
    const applied = appliedServices({ sources: sources.all, agents, applied: (node, id) => held.get(`${node} ${id}`) });
    const modules = { sources, log: silentLogger, applied };
    const [found] = await listServices(modules, 1, { namespace: "", globalOnly: false });
    assert.equal(
      found && frontendStateText({ ...found, status: "" }),
      found?.status,
      "the enum says what the text says",
    );
    return found?.status;
  };
  const [n1, n2] = [
    { node: "n1", connected: true },
    { node: "n2", connected: true },
  ];
  assert.equal(await status(undefined), "Merged", "the nodes are not known");
  assert.equal(await status([n1, n2]), "Applying: 0/2 nodes");
  for (const { node } of [n1, n2]) hold(node);
  assert.equal(await status([n1, n2]), "Done");
  assert.equal(await status([n1, { ...n2, connected: false }]), "Applying: 1/2 nodes");
  west.change({ "services/shop/other": "" });
  assert.equal(await status([n1, n2]), "Done", "another Service changed");
  west.change({}, [sliceKey(CART, "cart-1")]);
  assert.equal(await status([n1, n2]), "Applying: 0/2 nodes");
  hold("n1");
  assert.equal(await status([n1, n2]), "Applying: 1/2 nodes");
  held.set("n2 2", undefined);
  hold("n1");
  sources.add(north);
  assert.equal(
    await status([n1]),
    "Done",
    "another Service of a source that no node has yet does not count for this one",
  );
  hold("n2");
  held.set("n2 2", remotePosition(Buffer.alloc(16, 77), 1n));
  assert.equal(await status([n1, n2]), "Applying: 1/2 nodes", "a position of another store does not count");
});

test("with many nodes and Services, missing Services are computed once and not for each Service", async (t) => {
  const [nodes, services] = [300, 50];
  const names = Array.from({ length: services }, (_, i) => `s${i}`);
  const source = createFakeSource(0, "east");
  const before = source.change({});
  const old = source.change(Object.fromEntries(names.map((name) => [`services/shop/${name}`, ""])));
  const now = source.change({ "services/shop/s0": "changed" });
  // A third of the nodes has all Services, a third lacks s0, a sixth lacks all fifty, and a sixth is not connected.
  const positions = [now, now, old, old, before, now];
  const agents = Array.from({ length: nodes }, (_, i) => ({ node: `${i}`, connected: i % 6 !== 5 }));
  const lookups = t.mock.method(Set.prototype, "has");
  const applied = appliedServices({ sources: [source], agents, applied: (node) => positions[Number(node) % 6] });
  const counts = names.map((name) => applied?.on(`shop/${name}`));
  lookups.mock.restore();
  assert.deepEqual(counts, [nodes / 3, ...names.slice(1).map(() => (nodes / 3) * 2)]);
  assert.equal(applied?.on("shop/other"), (nodes / 6) * 5);
  assert.ok(lookups.mock.callCount() < nodes, `${lookups.mock.callCount()} lookups for ${nodes} nodes`);
});

test("unreadable records of a peer are skipped with one log line, and the Services are listed", async () => {
  const lines: string[] = [];
  const log = createLogger({ app: "test", destination: { write: (line) => void lines.push(line) } });
  const west = cluster(2, "west", {}, READY);
  const slice = west.index.get(sliceKey(CART, "cart-1"));
  assert.ok(slice !== undefined);
  // The generated decoders stop at a byte 0, so they would decode these slices without an error.
  const cut = Buffer.concat([slice.value, Buffer.of(0)]);
  const upserts = ["cart-2", "cart-3"].map((name) => hashRecord(Kind.KIND_SLICE, sliceKey(CART, name), cut));
  west.index.apply({ upserts, deletes: [], position: west.change({}), observedMicros: 1 });
  const sources = createFakeSources(cluster(0, "east", local, READY), west);
  const [found] = await listServices({ sources, log }, 1, { namespace: "", globalOnly: false });
  const counted = found?.tiers.flatMap(({ clusters }) => clusters.map((each) => `${each.cluster} ${each.ready}`));
  assert.deepEqual(counted, ["east 1", "west 1"]);
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? "",
    /"records":2.*Cannot read record \\"slices\/shop\/cart\/cart-2\\" of cluster \\"west\\"/,
  );
});
