import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { KubeClient, KubeObject } from "@isthmus/kube";
import { IdentityReport, PolicyReport, StatusResponse } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import type { ClusterView } from "./admin.js";
import { createInForce, hasPod } from "./in-force.js";

const NODES = 2;

/** A cluster whose views the test sets. */
function madeCluster(t: TestContext) {
  const view = {
    policies: [] as PolicyReport[],
    identities: [] as IdentityReport[],
    status: StatusResponse.fromPartial({}),
  };
  let looks = 0;
  let marks = 0;
  const admin = {
    async look(): Promise<ClusterView> {
      looks++;
      return { ...view };
    },
    close: () => undefined,
  };
  const client = {
    apply: async (_resource: unknown, object: KubeObject) => ({
      ...object,
      metadata: { ...object.metadata, generation: ++marks },
    }),
  } as unknown as KubeClient;
  const inForce = createInForce({ cluster: "east", client, admin, namespace: "blue" });
  const stop = new AbortController();
  const ran = inForce.run(stop.signal);
  ran.catch(() => undefined); // a test looks
  t.after(() => stop.abort());
  return {
    view,
    inForce,
    ran,
    get marks() {
      return marks;
    },
    /** Resolves when the present view was looked at. */
    async looked() {
      const before = looks;
      await until("two more looks", () => looks >= before + 2);
    },
  };
}

function enforced(
  kind: string,
  name: string,
  inForce: number,
  enforcedNodes: number,
  findings: string[] = [],
): PolicyReport {
  const generation = BigInt(inForce);
  return PolicyReport.fromPartial({
    kind,
    namespace: "blue",
    name,
    generation,
    inForce: generation,
    enforcedNodes,
    nodes: NODES,
    findings,
  });
}

const identity = (name: string, pods: number) =>
  IdentityReport.fromPartial({ number: 1, labels: [{ key: "name", value: name }], pods });

/** Settled or not. */
function watched(promise: Promise<number>) {
  const state = { isDone: false };
  promise.then(
    () => {
      state.isDone = true;
    },
    () => undefined,
  );
  return state;
}

test("a policy is in force when all nodes enforce its generation", async (t) => {
  const cluster = madeCluster(t);
  const written = watched(cluster.inForce.policyWritten("NetworkPolicy", "blue", "p", 2));
  for (const policies of [
    [],
    [enforced("NetworkPolicy", "p", 1, NODES)],
    [enforced("NetworkPolicy", "p", 2, NODES - 1)],
  ]) {
    cluster.view.policies = policies;
    await cluster.looked();
    assert.equal(written.isDone, false, "not by all");
  }
  cluster.view.policies = [enforced("NetworkPolicy", "p", 2, NODES)];
  await cluster.looked();
  assert.equal(written.isDone, true);
});

test("a policy that is not accepted ends the test instead of being waited for", async (t) => {
  const cluster = madeCluster(t);
  watched(cluster.inForce.policyWritten("NetworkPolicy", "blue", "p", 2));
  cluster.view.policies = [enforced("NetworkPolicy", "p", 2, NODES, ["it is wrong"])];
  await assert.rejects(cluster.ran, /NetworkPolicy blue\/p is not accepted: it is wrong/);
});

test("a local change is in force when a marker that was written after it was known is", async (t) => {
  const cluster = madeCluster(t);
  cluster.view.identities = [identity("a", 1)];
  const changed = watched(cluster.inForce.localChange((view) => !hasPod(view, "a")));
  await cluster.looked();
  assert.equal(cluster.marks, 0);
  cluster.view.identities = [identity("a", 0)];
  await cluster.looked();
  assert.deepEqual([cluster.marks, changed.isDone], [1, false]);
  cluster.view.policies = [enforced("CiliumNetworkPolicy", "marker", 1, NODES)];
  await cluster.looked();
  assert.equal(changed.isDone, true);
});

test("a change of another cluster is in force when no record of that cluster is under way, twice", async (t) => {
  const cluster = madeCluster(t);
  const changed = watched(cluster.inForce.remoteChange(2, (view) => hasPod(view, "a")));
  const status = (connected: boolean, inSync: boolean, lagMs: number) =>
    StatusResponse.fromPartial({ agents: [{ node: "n", connected, sources: [{ clusterId: 2, inSync, lagMs }] }] });
  cluster.view.status = status(true, true, 0);
  await cluster.looked();
  assert.equal(changed.isDone, false, "the pod is not known");
  cluster.view.identities = [identity("a", 1)];
  for (const now of [
    status(false, true, 0),
    status(true, false, 0),
    status(true, true, 5),
    StatusResponse.fromPartial({ agents: [{ node: "n", connected: true }] }),
  ]) {
    cluster.view.status = now;
    await cluster.looked();
    assert.equal(changed.isDone, false, "an agent is behind");
  }
  cluster.view.status = status(true, true, 0);
  await cluster.looked();
  await cluster.looked();
  assert.equal(changed.isDone, true);
});
