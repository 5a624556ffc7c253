import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { KubeError, type KubeNode, type KubeObject } from "@isthmus/kube";
import { parseAddress } from "@isthmus/model";
import { createLogger } from "@isthmus/observe";
import { createFakeClock } from "@isthmus/testing";
import { createHealthAddresses } from "./health-addresses.js";
import { nodeFacts } from "./nodes/node-facts.js";
import { createNodeFeed } from "./nodes/node-feed.js";

const ANNOTATION = "mesh.isthmus.io/health-address";
const NONE = new Uint8Array();

/** Nodes as Kubernetes has them; writes are read back at once, as by a watch. */
function rig(t: TestContext) {
  const clock = createFakeClock();
  const feed = createNodeFeed(clock, undefined);
  const lines: string[] = [];
  const log = createLogger({ app: "t", level: "warn", destination: { write: (line) => void lines.push(line) } });
  const writes: string[] = [];
  const state: { refusal: Error | undefined } = { refusal: undefined };

  function set(name: string, cidr: string | undefined, health?: string | null): void {
    const annotations = health === undefined || health === null ? {} : { [ANNOTATION]: health };
    const object = { metadata: { name, annotations }, spec: cidr === undefined ? {} : { podCIDRs: [cidr] } };
    cidrs.set(name, cidr);
    feed.take({ deletes: [], sets: [{ key: name, uid: "u", version: 1n, value: nodeFacts(object as KubeObject) }] });
  }
  const cidrs = new Map<string, string | undefined>();
  const controller = new AbortController();
  const health = createHealthAddresses({
    client: {
      async mergePatch<T extends KubeObject>(_: unknown, name: string, patch: unknown, target?: object) {
        if (state.refusal !== undefined) throw state.refusal;
        assert.equal((target as { subresource?: string }).subresource, "status");
        const value = (patch as { metadata: { annotations: Record<string, string | null> } }).metadata.annotations[
          ANNOTATION
        ];
        writes.push(`${name} ${value ?? "none"}`);
        set(name, cidrs.get(name), value);
        return {} as KubeNode as unknown as T;
      },
    },
    ...{ nodes: feed, clock, log },
  });
  const running = health.run(controller.signal);
  t.after(async () => {
    controller.abort();
    await running;
  });
  /** What was written since the last call, after every wait is over. */
  const settled = async (ms = 1000) => {
    await clock.advance(ms);
    return writes.splice(0);
  };
  return { ...health, settled, set, state, lines, feed };
}

test("a reported address is written to the Node once, and the record has it", async (t) => {
  const { open, set, settled, feed } = rig(t);
  set("n1", "10.11.1.0/24");
  const stream = open("n1", true);
  assert.deepEqual(await settled(), []);
  stream.report(parseAddress("10.11.1.254"));
  stream.report(parseAddress("10.11.1.254"));
  assert.deepEqual(await settled(), ["n1 10.11.1.254"]);
  assert.deepEqual(feed.factsOf("n1")?.health, parseAddress("10.11.1.254"));
  open("n1", true).report(parseAddress("10.11.1.254"));
  assert.deepEqual(await settled(), []);
});

test("a Node that is read, gets its range or loses the annotation after the report has it", async (t) => {
  const { open, set, settled } = rig(t);
  open("n1", true).report(parseAddress("10.11.1.254"));
  assert.deepEqual(await settled(), []);
  set("n1", undefined);
  assert.deepEqual(await settled(), []);
  set("n1", "10.11.1.0/24");
  assert.deepEqual(await settled(), ["n1 10.11.1.254"]);
  set("n1", "10.11.1.0/24");
  assert.deepEqual(await settled(), ["n1 10.11.1.254"]);
});

test("an address outside the node's pod ranges is refused with one line, and what was written stays", async (t) => {
  const { open, set, settled, lines } = rig(t);
  set("n1", "10.11.1.0/24", "10.11.1.254");
  const stream = open("n1", true);
  for (const bad of [parseAddress("10.11.2.254"), parseAddress("10.11.2.254"), new Uint8Array(15)]) stream.report(bad);
  assert.deepEqual(await settled(), []);
  assert.deepEqual(
    lines.map((line) => /Health address of a node refused/.test(line)),
    [true, true],
  );
  assert.match(lines[0] ?? "", /10\.11\.2\.254/);
});

test("the annotation of a node whose agent has no address, or is of the version before, goes", async (t) => {
  const { open, set, settled } = rig(t);
  set("n1", "10.11.1.0/24", "10.11.1.254");
  set("n2", "10.11.2.0/24", "nonsense");
  set("n3", "10.11.3.0/24");
  open("n1", false);
  open("n2", true).report(NONE);
  open("n3", false);
  assert.deepEqual(await settled(), ["n1 none", "n2 none"]);
});

test("without a stream the annotation stays, and a stream that was replaced reports nothing", async (t) => {
  const { open, set, settled } = rig(t);
  set("n1", "10.11.1.0/24");
  const first = open("n1", true);
  first.report(parseAddress("10.11.1.254"));
  assert.deepEqual(await settled(), ["n1 10.11.1.254"]);
  const second = open("n1", true);
  first.report(NONE);
  first.close();
  assert.deepEqual(await settled(), []);
  second.report(parseAddress("10.11.1.253"));
  assert.deepEqual(await settled(), ["n1 10.11.1.253"]);
  second.close();
  // Another instance wrote: this one, which has no stream of the node any more, leaves it.
  set("n1", "10.11.1.0/24", "10.11.1.252");
  assert.deepEqual(await settled(), []);
});

test("a write that is refused is retried, and does not keep other nodes from theirs", async (t) => {
  const { open, set, settled, state, lines } = rig(t);
  set("n1", "10.11.1.0/24");
  set("n2", "10.11.2.0/24");
  state.refusal = new KubeError({ code: "KUBE_STATUS", status: 403, reason: "Forbidden", path: "/" }, "Forbidden");
  open("n1", true).report(parseAddress("10.11.1.254"));
  assert.deepEqual(await settled(), []);
  assert.match(lines.join(), /Health address of a node.*n1/);
  state.refusal = undefined;
  open("n2", true).report(parseAddress("10.11.2.254"));
  assert.deepEqual((await settled(30_000)).sort(), ["n1 10.11.1.254", "n2 10.11.2.254"]);
});

test("a node that changes its address without end is written ever more seldom, whatever it does with its streams", async (t) => {
  const { open, set, settled } = rig(t);
  set("n1", "10.11.1.0/24");
  let writes = 0;
  for (let i = 0; i < 600; i++) {
    const stream = open("n1", true);
    stream.report(parseAddress(`10.11.1.${1 + (i % 200)}`));
    writes += (await settled(500)).length;
    stream.close();
  }
  assert.ok(writes > 5 && writes < 40, `${writes} writes in 5 minutes`);
});
