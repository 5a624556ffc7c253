import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { KubeError, type KubeObject } from "@isthmus/kube";
import { parseAddress } from "@isthmus/model";
import { createLogger, createMetrics } from "@isthmus/observe";
import { createEmitter } from "@isthmus/runtime";
import { createFakeClock } from "@isthmus/testing";
import { nodeFacts } from "./nodes/node-facts.js";
import { createPodAddresses, type PodReport } from "./pod-addresses.js";
import { createTestIdentities, type TestPod } from "./testing/test-identities.js";

const ADDRESS = "10.11.1.5";

/** Pods as Kubernetes has them; writes are read back at once, as by a watch. Node n1 has 10.11.1.0/24, n2 has 10.11.2.0/24. */
function rig(t: TestContext) {
  const clock = createFakeClock();
  const table = createTestIdentities();
  const changes = createEmitter<readonly string[]>();
  const lines: string[] = [];
  const log = createLogger({ app: "t", level: "warn", destination: { write: (line) => void lines.push(line) } });
  const metrics = createMetrics();
  const writes: string[] = [];
  const objects = new Map<string, TestPod>();
  const state: { refusal: Error | undefined; isWatchLate: boolean } = { refusal: undefined, isWatchLate: false };
  const unseen: TestPod[] = [];
  /** Ends what `hold` began. */
  let release = () => {};
  let held = Promise.resolve();
  const node = (name: string, cidr: string) =>
    nodeFacts({ metadata: { name }, spec: { podCIDRs: [cidr] } } as unknown as KubeObject);
  const nodes = new Map([
    ["n1", node("n1", "10.11.1.0/24")],
    ["n2", node("n2", "10.11.2.0/24")],
  ]);

  function pod(changed: TestPod): void {
    objects.set(changed.name ?? "web-1", changed);
    table.pod(changed);
    changes.emit([`shop/${changed.name ?? "web-1"}`]);
  }
  const addresses = createPodAddresses({
    client: {
      async mergePatch<T extends KubeObject>(_: unknown, name: string, patch: unknown, target?: object) {
        if (state.refusal !== undefined) throw state.refusal;
        assert.equal((target as { subresource?: string }).subresource, "status");
        const { uid, annotations } = (
          patch as { metadata: { uid: string; annotations: Record<string, string | null> } }
        ).metadata;
        const value = annotations["mesh.isthmus.io/pod-ips"];
        writes.push(`${name} ${value ?? "none"}`);
        await held;
        assert.equal(uid, `uid-${name}`);
        const { reported: _before, ...rest } = objects.get(name) ?? {};
        const changed = value == null ? rest : { ...rest, reported: value.split("@")[0] ?? "" };
        objects.set(name, changed);
        if (state.isWatchLate) unseen.push(changed);
        else pod(changed);
        return {} as T;
      },
    },
    pods: { ...table.table, onPods: changes.subscribe },
    nodes: { factsOf: (name) => nodes.get(name) },
    ...{ clock, log, metrics },
  });
  const controller = new AbortController();
  const running = addresses.run(controller.signal);
  t.after(async () => {
    controller.abort();
    await running;
  });
  /** What was written since the last call, after every wait is over. */
  const settled = async (ms = 1000) => {
    await clock.advance(0);
    await clock.advance(ms);
    return writes.splice(0);
  };
  const reportOf = (up: boolean, address: string, name = "web-1", changed: Partial<PodReport> = {}): PodReport => ({
    ...{ up, namespace: "shop", pod: name, podUid: `uid-${name}`, address: Buffer.from(parseAddress(address)) },
    ...changed,
  });
  const open = (name: string) => {
    const stream = addresses.open(name);
    return {
      up: (...args: [address: string, name?: string, changed?: Partial<PodReport>]) =>
        stream.report(reportOf(true, ...args)),
      down: (...args: [address: string, name?: string, changed?: Partial<PodReport>]) =>
        stream.report(reportOf(false, ...args)),
      close: stream.close,
    };
  };
  /** Writes have no answer before `release`. */
  const hold = () => {
    held = new Promise((resolve) => {
      release = resolve;
    });
  };
  /** The watch shows what was written since `isWatchLate`. */
  const showWrites = () => {
    for (const each of unseen.splice(0)) pod(each);
  };
  return { hold, release: () => release(), showWrites, table, pod, open, settled, lines, metrics, state, nodes };
}

const counted = async (metrics: ReturnType<typeof createMetrics>, reason: string) =>
  Number(new RegExp(`reason="${reason}"\\} (\\d+)`).exec(await metrics.text())?.[1] ?? 0);

test("a reported address is written to the Pod once, and only if its status does not have it", async (t) => {
  const { pod, open, settled } = rig(t);
  pod({});
  const { up } = open("n1");
  up(ADDRESS);
  assert.deepEqual(await settled(), [`web-1 ${ADDRESS}@uid-web-1`]);
  up(ADDRESS);
  open("n1").up(ADDRESS);
  assert.deepEqual(await settled(), []);
  pod({ name: "web-2", address: "10.11.1.6" });
  open("n1").up("10.11.1.6", "web-2");
  assert.deepEqual(await settled(), [], "an upgrade writes nothing to running pods");
});

test("an address that another pod's status claims, too, is written, so that it belongs to the reported one", async (t) => {
  const { pod, open, settled, table } = rig(t);
  pod({ address: ADDRESS, created: "2026-11-30T09:00:00Z" });
  pod({ name: "web-2", address: ADDRESS, created: "2026-11-30T09:30:00Z" });
  open("n1").up(ADDRESS);
  assert.deepEqual(await settled(), [`web-1 ${ADDRESS}@uid-web-1`]);
  assert.ok(table.table.owns("shop/web-1", parseAddress(ADDRESS)));
});

test("a report waits for its pod, and for the one with its uid", async (t) => {
  const { pod, open, settled } = rig(t);
  open("n1").up(ADDRESS);
  assert.deepEqual(await settled(), []);
  pod({ uid: "another" });
  assert.deepEqual(await settled(), []);
  pod({ node: "" });
  assert.deepEqual(await settled(), [], "it is not scheduled yet");
  pod({});
  assert.deepEqual(await settled(), [`web-1 ${ADDRESS}@uid-web-1`]);
});

test("what an ended stream reported does not count any more", async (t) => {
  const { pod, open, settled } = rig(t);
  const [before, now] = [open("n1"), open("n1")];
  before.up(ADDRESS);
  now.close();
  now.up(ADDRESS);
  pod({});
  assert.deepEqual(await settled(), []);
});

test("pods of another node and addresses outside the node's ranges are refused, counted, and logged once for a stream", async (t) => {
  const { pod, open, settled, lines, metrics } = rig(t);
  pod({});
  pod({ name: "web-2", node: "n2" });
  const { up, down } = open("n1");
  for (let i = 0; i < 3; i++) up("10.11.2.9", "web-2");
  down("10.11.2.9", "web-2");
  for (const outside of ["10.11.2.5", "169.254.0.1", "10.12.0.1"]) up(outside);
  up(ADDRESS, "web-1", { address: Buffer.alloc(15) });
  assert.deepEqual(await settled(), []);
  assert.deepEqual(
    await Promise.all(["other-node", "outside-pod-range", "malformed"].map((reason) => counted(metrics, reason))),
    [4, 3, 1],
  );
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? "", /"node":"n1".*other-node.*shop\/web-2/);
});

test("a pod without a sandbox loses the annotation, unless it is being deleted or has another sandbox", async (t) => {
  const { pod, open, settled } = rig(t);
  pod({});
  const { up, down } = open("n1");
  up(ADDRESS);
  await settled();
  up("10.11.1.6");
  down(ADDRESS);
  assert.deepEqual(await settled(), ["web-1 10.11.1.6@uid-web-1"], "the old sandbox is gone");
  down(ADDRESS);
  assert.deepEqual(await settled(), []);
  down("10.11.1.6");
  assert.deepEqual(await settled(), ["web-1 none"]);
  up(ADDRESS);
  await settled();
  pod({ reported: ADDRESS, deleted: true });
  down(ADDRESS);
  assert.deepEqual(await settled(), []);
});

test("a pod that goes while its address is written loses the annotation when that is done", async (t) => {
  const { pod, open, settled, hold, release } = rig(t);
  pod({});
  const { up, down } = open("n1");
  hold();
  up(ADDRESS);
  assert.deepEqual(await settled(), [`web-1 ${ADDRESS}@uid-web-1`]);
  down(ADDRESS);
  assert.deepEqual(await settled(), []);
  release();
  assert.deepEqual(await settled(), ["web-1 none"]);
});

test("what is reported before the watch has shown a write is compared with what was written", async (t) => {
  const { pod, open, settled, state, showWrites, table } = rig(t);
  pod({});
  const { up, down } = open("n1");
  state.isWatchLate = true;
  up(ADDRESS);
  await settled();
  up(ADDRESS);
  assert.deepEqual(await settled(), []);
  down(ADDRESS);
  assert.deepEqual(await settled(), ["web-1 none"]);
  showWrites();
  up(ADDRESS);
  await settled();
  showWrites();
  down(ADDRESS);
  await settled();
  up(ADDRESS);
  assert.deepEqual(await settled(), [`web-1 ${ADDRESS}@uid-web-1`], "the removal has not been shown");
  showWrites();
  assert.ok(table.table.owns("shop/web-1", parseAddress(ADDRESS)));
  state.isWatchLate = false;
  pod({});
  up(ADDRESS);
  assert.deepEqual(await settled(), [`web-1 ${ADDRESS}@uid-web-1`], "after the watch its annotation counts");
});

test("a node cannot make the server keep more reports than it can have pods", async (t) => {
  const { pod, open, settled, metrics } = rig(t);
  const { up } = open("n1");
  for (let i = 0; i < 3000; i++) up(ADDRESS, `pod-${i}`);
  assert.equal(await counted(metrics, "too-many"), 3000 - 1024);
  pod({ name: "pod-1" });
  pod({ name: "pod-2999" });
  assert.deepEqual(await settled(), [`pod-1 ${ADDRESS}@uid-pod-1`]);
});

test("110 pods of a node that has booted have their annotation within a second", async (t) => {
  const { pod, open, settled } = rig(t);
  for (let i = 0; i < 110; i++) pod({ name: `pod-${i}` });
  const { up } = open("n1");
  for (let i = 0; i < 110; i++) up(`10.11.1.${i + 1}`, `pod-${i}`);
  assert.equal((await settled()).length, 110);
});

test("a refusal is tried again; a pod that is gone, or another one of the name, is not", async (t) => {
  const { pod, open, settled, state, lines } = rig(t);
  const status = (code: number) => new KubeError({ code: "KUBE_STATUS", status: code, reason: "", path: "/p" }, "No");
  pod({});
  state.refusal = status(403);
  const { up } = open("n1");
  up(ADDRESS);
  assert.deepEqual(await settled(), []);
  assert.equal(lines.length, 1);
  state.refusal = undefined;
  assert.deepEqual(await settled(20_000), [`web-1 ${ADDRESS}@uid-web-1`]);
  pod({ name: "gone" });
  state.refusal = status(404);
  up("10.11.1.9", "gone");
  await settled();
  state.refusal = undefined;
  assert.deepEqual(await settled(20_000), []);
  pod({ name: "web-2" });
  state.refusal = status(422);
  up("10.11.1.9", "web-2");
  await settled();
  state.refusal = undefined;
  pod({ name: "web-2", uid: "another" });
  assert.deepEqual(await settled(20_000), []);
});
