/** What there is in the clusters of the leak test, and what of it may be in force at a moment. */
import { createTimeline, type Timeline } from "./history.js";
import type { NetworkFault } from "./network-faults.js";
import type { Labels, PodState, PolicyObject, PolicySpec } from "./oracle.js";

export interface ModelPod {
  /** Unique in the lab; also its host name, by which it answers. */
  readonly name: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly node: string;
  /** Undefined: it is not known, because it is not there yet or no more. */
  readonly labels: Timeline<Labels | undefined>;
  /** Once it is known. */
  address?: string;
  /** When it was seen to run. */
  runsSince?: number;
  /** Before its deletion was asked for. */
  deletedAt?: number;
}

export interface ModelPolicy {
  readonly of: PolicyObject;
  /** Undefined: there is none. */
  readonly spec: Timeline<PolicySpec | undefined>;
}

export interface Model {
  readonly pods: Map<string, ModelPod>;
  readonly policies: Map<string, ModelPolicy>;
  readonly faults: NetworkFault[];
  /** Labels of a namespace. */
  namespace(cluster: string, name: string): Timeline<Labels>;
  /** The policy of that name, which may have been deleted or not be there yet. */
  policy(of: PolicyObject): ModelPolicy;
  /** Pods that have the address or had it. */
  podsAt(address: string): readonly ModelPod[];
  /** What nodes of `seenBy` may know of the pod at some moment of a time, none once it is gone. */
  statesOf(pod: ModelPod, seenBy: string, from: number, to: number): readonly (PodState | "unknown")[];
}

export function createModel(): Model {
  const pods = new Map<string, ModelPod>();
  const policies = new Map<string, ModelPolicy>();
  const namespaces = new Map<string, Timeline<Labels>>();

  function namespace(cluster: string, name: string): Timeline<Labels> {
    const key = `${cluster}/${name}`;
    const timeline = namespaces.get(key) ?? createTimeline<Labels>({});
    namespaces.set(key, timeline);
    return timeline;
  }

  return {
    pods,
    policies,
    faults: [],
    namespace,
    policy(of) {
      const key = policyName(of);
      const policy = policies.get(key) ?? { of, spec: createTimeline<PolicySpec | undefined>(undefined) };
      policies.set(key, policy);
      return policy;
    },
    podsAt: (address) => [...pods.values()].filter((pod) => pod.address === address),
    statesOf(pod, seenBy, from, to) {
      const known = namespace(pod.cluster, pod.namespace).admissible(seenBy, from, to);
      const all = pod.labels.admissible(seenBy, from, to);
      if (pod.deletedAt !== undefined && all.every((labels) => labels === undefined)) return [];
      return all.flatMap((labels): readonly (PodState | "unknown")[] =>
        labels === undefined
          ? ["unknown"]
          : known.map((namespaceLabels) => ({
              cluster: pod.cluster,
              namespace: pod.namespace,
              namespaceLabels,
              labels,
              address: pod.address ?? "",
            })),
      );
    },
  };
}

export function policyName({ cluster, kind, namespace, name }: PolicyObject): string {
  return `${cluster} ${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;
}
