/**
 * Finds out when what was asked for is in force on all nodes of a cluster.
 *
 * ```
 *   policy written   ─► its generation is enforced on all nodes
 *   policy deleted, a pod of this cluster changed
 *                    ─► the apiserver says so ─► the marker gets another generation ─► that is enforced on all nodes
 *   a pod of another cluster changed
 *                    ─► the apiserver says so ─► twice: all agents are connected, and no record of that cluster is under way
 * ```
 * The marker is a policy that selects nobody. Agents apply the records of a cluster in the order in which its apiserver sends them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CILIUM_NETWORK_POLICIES, type KubeClient, type KubeObject } from "@isthmus/kube";
import type { IdentityReport } from "@isthmus/proto";
import type { ClusterAdmin, ClusterView } from "./admin.js";
import { nowMicros } from "./history.js";

/** True when the apiserver knows of a change. */
export type IsKnown = (view: ClusterView) => boolean;

export interface ClusterInForce {
  readonly cluster: string;
  /** Resolves with the time at which all nodes were seen to have this generation of the policy. */
  policyWritten(kind: string, namespace: string, name: string, generation: number): Promise<number>;
  /** The same for a change of a local object that the apiserver knows. */
  localChange(isKnown: IsKnown): Promise<number>;
  /** The same for a change of a pod of another cluster. */
  remoteChange(clusterId: number, isKnown: IsKnown): Promise<number>;
  /** Number of changes that are not in force yet. */
  readonly pending: number;
  /** Looks until aborted; rejects when the marker cannot be written. */
  run(signal: AbortSignal): Promise<void>;
}

export interface InForceModules {
  readonly cluster: string;
  readonly client: KubeClient;
  readonly admin: ClusterAdmin;
  /** Of the marker. */
  readonly namespace: string;
}

interface Awaited {
  /** True when it is in force. */
  look(view: ClusterView): boolean;
  readonly done: (at: number) => void;
  /** It waits for the marker: until its generation is this one. */
  readonly marker?: { isKnown: IsKnown; generation?: number };
}

const MARKER = "marker";
const LOOK_MS = 50;

export function createInForce({ cluster, client, admin, namespace }: InForceModules): ClusterInForce {
  const awaited = new Set<Awaited>();
  let marks = 0;

  const wait = (one: Omit<Awaited, "done">) =>
    new Promise<number>((resolve) => {
      const entry: Awaited = { ...one, done: resolve };
      awaited.add(entry);
    });

  async function mark(): Promise<number> {
    const spec = {
      endpointSelector: { matchLabels: { nobody: "yes" } },
      ingress: [{ fromEndpoints: [{ matchLabels: { mark: String(++marks) } }] }],
    };
    const marker: KubeObject & { readonly spec: object } = { metadata: { name: MARKER, namespace }, spec };
    const written = await client.apply(CILIUM_NETWORK_POLICIES, marker, { manager: "leaks", force: true });
    return written.metadata.generation ?? 0;
  }

  async function lookOnce(): Promise<void> {
    // What is awaited from now on may have changed after this view.
    const asked = [...awaited];
    const view = await admin.look();
    const at = nowMicros();
    for (const one of asked) {
      if (!one.look(view)) continue;
      awaited.delete(one);
      one.done(at);
    }
    const known = asked.flatMap(({ marker }) =>
      marker !== undefined && marker.generation === undefined && marker.isKnown(view) ? marker : [],
    );
    if (known.length === 0) return;
    const generation = await mark();
    for (const marker of known) marker.generation = generation;
  }

  return {
    cluster,
    get pending() {
      return awaited.size;
    },
    policyWritten: (kind, itsNamespace, name, generation) =>
      wait({ look: (view) => isEnforced(view, kind, itsNamespace, name, generation) }),
    localChange(isKnown) {
      const marker: Awaited["marker"] & object = { isKnown };
      const look = (view: ClusterView) =>
        marker.generation !== undefined &&
        isKnown(view) &&
        isEnforced(view, "CiliumNetworkPolicy", namespace, MARKER, marker.generation);
      return wait({ marker, look });
    },
    remoteChange(clusterId, isKnown) {
      let seen = 0;
      return wait({
        look(view) {
          seen = isKnown(view) && isApplied(view, clusterId) ? seen + 1 : 0;
          return seen === 2;
        },
      });
    },
    async run(signal) {
      while (!signal.aborted) {
        // An apiserver that is restarted or suspended does not answer, nor does a cluster that is dark.
        await lookOnce().catch((error: Error & { code?: number | string }) => {
          if (typeof error.code !== "number" && error.code !== "KUBE_UNREACHABLE") throw error;
        });
        await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}

function isEnforced(
  { policies }: ClusterView,
  kind: string,
  namespace: string,
  name: string,
  generation: number,
): boolean {
  const found = policies.find((one) => one.kind === kind && one.namespace === namespace && one.name === name);
  if (found !== undefined && found.findings.length > 0 && found.generation >= BigInt(generation))
    throw new Error(`${kind} ${namespace}/${name} is not accepted: ${found.findings[0]}`);
  return (
    found !== undefined && found.inForce >= BigInt(generation) && found.nodes > 0 && found.enforcedNodes === found.nodes
  );
}

function isApplied({ status }: ClusterView, clusterId: number): boolean {
  return status.agents.every(
    ({ connected, sources }) =>
      connected && sources.some((source) => source.clusterId === clusterId && source.inSync && source.lagMs === 0),
  );
}

/** The identity that the pod has; `pod` is the value of its label "name". */
export function identitiesOf({ identities }: ClusterView, pod: string): readonly IdentityReport[] {
  return identities.filter(
    ({ pods, labels }) => pods > 0 && labels.some(({ key, value }) => key === "name" && value === pod),
  );
}

/** True while the pod has an identity. */
export function hasPod(view: ClusterView, pod: string): boolean {
  return identitiesOf(view, pod).length > 0;
}

export function labelOf({ labels }: IdentityReport, wanted: string): string | undefined {
  return labels.find(({ key }) => key === wanted)?.value;
}
