/**
 * Measures from a request in a cluster's Kubernetes API to its effect in the kernel of a node: a policy that is changed in both
 * clusters at once, and a label of a pod in east, which nodes of both clusters learn.
 *
 * The time starts when the requests are sent, so it includes the API server's work, and ends when the rows in the nodes' pinned
 * maps, which are read every millisecond, have changed.
 */
import { type KubeObject, type KubePod, NAMESPACES, NETWORK_POLICIES, PODS } from "@isthmus/kube";
import { DEMO_TAG, pinDirectory } from "@isthmus/lab";
import { systemClock } from "@isthmus/model";
import { waitFor } from "@isthmus/runtime";
import type { BenchCluster, BenchLab } from "./lab.js";
import { openPolicyRows, type PolicyRows } from "./policy-rows.js";
import { type Spread, spread } from "./spread.js";

export interface EffectFigures {
  readonly changes: number;
  /** From the request to the word of a pod in the cluster of the policy. */
  readonly policyMs: Spread;
  /** Until it was in effect in both clusters, when both were asked at once. */
  readonly policyBothMs: Spread;
  /** From the request to the identity of the pod on a node of its cluster. */
  readonly labelMs: Spread;
  /** The same on a node of the other cluster. */
  readonly labelOtherMs: Spread;
}

const NAMESPACE = "policies";
const POD = "subject";
const MANAGER = { manager: "bench", force: true };
const READY_MS = 60_000;
const GIVE_UP_MS = 10_000;

/** A pod whose policy and labels change, and the maps of its node. */
interface Subject {
  readonly cluster: BenchCluster;
  readonly address: string;
  readonly rows: PolicyRows;
}

export async function measureEffect(lab: BenchLab, changes: number): Promise<EffectFigures> {
  const east = await makeSubject(lab, lab.east);
  const west = await makeSubject(lab, lab.west);
  try {
    const policies: [number, number][] = [];
    const labels: [number, number][] = [];
    for (let i = 0; i < changes; i++) {
      const before = [east, west].map((each) => each.rows.policyOf(each.address));
      policies.push(
        await both(
          [setPolicy(east, i), setPolicy(west, i)],
          () => east.rows.policyOf(east.address) !== before[0],
          () => west.rows.policyOf(west.address) !== before[1],
        ),
      );
    }
    for (let i = 0; i < changes; i++) {
      const before = [east, west].map(({ rows }) => rows.identityOf(east.address));
      const metadata = { labels: { role: roleOf(i) } };
      const asked = east.cluster.client.mergePatch(PODS, POD, { metadata }, { namespace: NAMESPACE });
      labels.push(
        await both(
          [asked],
          () => east.rows.identityOf(east.address) !== before[0],
          () => west.rows.identityOf(east.address) !== before[1],
        ),
      );
    }
    return {
      changes,
      policyMs: spread(policies.flat()),
      policyBothMs: spread(policies.map((times) => Math.max(...times))),
      labelMs: spread(labels.map(([own]) => own)),
      labelOtherMs: spread(labels.map(([, other]) => other)),
    };
  } finally {
    for (const { rows } of [east, west]) rows.close();
  }
}

/** A pod on the first node of the cluster, which has a policy. */
async function makeSubject({ lab }: BenchLab, cluster: BenchCluster): Promise<Subject> {
  const { client, plan } = cluster;
  const [node] = plan.nodes;
  if (node === undefined) throw new Error("Cannot measure without a node");
  await client.apply(NAMESPACES, { metadata: { name: NAMESPACE } }, MANAGER);
  const container = { name: "demo", image: DEMO_TAG, imagePullPolicy: "Never", args: ["httpd", "--port", "8080"] };
  const metadata = { namespace: NAMESPACE, name: POD, labels: { app: POD, role: roleOf(1) } };
  const spec = { nodeName: node.name, automountServiceAccountToken: false, containers: [container] };
  await client.create(PODS, { metadata, spec } as unknown as KubePod);
  const rows = openPolicyRows(pinDirectory(lab.plan, node));
  const addressOf = async () =>
    (await client.get<KubePod & { readonly status?: { readonly podIP?: string } }>(PODS, POD, { namespace: NAMESPACE }))
      ?.status?.podIP;
  const address = await waitFor("the pod to run", addressOf, { timeoutMs: READY_MS });
  const subject = { cluster, address, rows };
  await setPolicy(subject, 1);
  const isEnforced = () => /[^\0]/.test(rows.policyOf(address) ?? "") && rows.identityOf(address) !== undefined;
  await waitFor("the policy to be enforced", isEnforced, { timeoutMs: READY_MS });
  return subject;
}

/** Admits pods of one role or of the other. */
async function setPolicy({ cluster }: Subject, i: number): Promise<void> {
  const from = [{ podSelector: { matchLabels: { role: roleOf(i) } } }];
  const spec = { podSelector: { matchLabels: { app: POD } }, ingress: [{ from }] };
  const policy = { metadata: { namespace: NAMESPACE, name: POD }, spec } as KubeObject;
  await cluster.client.apply(NETWORK_POLICIES, policy, MANAGER);
}

function roleOf(i: number): string {
  return i % 2 === 0 ? "front" : "back";
}

/** Milliseconds until each has come true. */
async function both(
  asked: readonly Promise<unknown>[],
  first: () => boolean,
  second: () => boolean,
): Promise<[number, number]> {
  const sent = performance.now();
  const times: [number, number] = [Number.NaN, Number.NaN];
  while (times.some(Number.isNaN)) {
    if (performance.now() - sent > GIVE_UP_MS) throw new Error(`Cannot measure: no effect within ${GIVE_UP_MS} ms`);
    await systemClock.delay(1);
    for (const [i, isSo] of [first, second].entries())
      if (Number.isNaN(times[i]) && isSo()) times[i] = performance.now() - sent;
  }
  await Promise.all(asked);
  return times;
}
