/** Who reaches whom by the evaluator: what agents make of the objects, without maps and packets. */
import { type IdentityNumber, podIdentityLabels } from "@isthmus/identity";
import { type Prefix, parseAddress, prefixContains } from "@isthmus/model";
import {
  createPolicyEngine,
  type Direction,
  type Finding,
  lookUp,
  type ParsedPolicy,
  type PolicyService,
  parseCiliumClusterwideNetworkPolicy,
  parseCiliumNetworkPolicy,
  parseNetworkPolicy,
} from "@isthmus/policy";
import { makeGrid } from "./grid.js";
import { CLUSTERS, type ClusterName, NAMESPACE_LABELS, PODS, SHOP, SQL, type Trial, type TruthPod } from "./pods.js";
import type { AddressOf, Change, PolicyObject } from "./table.js";

const PARSERS = {
  NetworkPolicy: parseNetworkPolicy,
  CiliumNetworkPolicy: parseCiliumNetworkPolicy,
  CiliumClusterwideNetworkPolicy: parseCiliumClusterwideNetworkPolicy,
} as const;

const TCP = 6;

/** Reads a policy with what it refers to now. */
type ParsePolicy = () => ParsedPolicy;

interface ServiceObject {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: { readonly selector: Readonly<Record<string, string>> };
}

function serviceOf({ metadata: { namespace, name }, spec }: ServiceObject): PolicyService {
  const selector = Object.entries(spec.selector).map(([key, value]) => ({ key, value }));
  return { namespace, name, labels: [], selector, addresses: [] };
}

/** What policies refer to: no policy itself. */
export function isReferredTo({ kind }: PolicyObject): boolean {
  return kind === "CiliumCIDRGroup" || kind === "Service";
}

/** The object as a user applies it. */
export function objectOf({ kind, name, namespace = SHOP, spec, specs }: PolicyObject, addressOf: AddressOf): object {
  const isClusterwide = kind === "CiliumClusterwideNetworkPolicy" || kind === "CiliumCIDRGroup";
  const metadata = isClusterwide ? { name } : { name, namespace };
  return {
    metadata,
    ...(specs === undefined ? { spec: typeof spec === "function" ? spec(addressOf) : spec } : { specs }),
  };
}

export interface Evaluator {
  /** Returns the findings of a policy that is not accepted: what it replaces stays. */
  change(change: Change): readonly Finding[];
  /** As grid.ts has it. */
  grid(): Promise<string>;
}

/** As at the begin of a table. */
export function createEvaluator(addressOf: AddressOf): Evaluator {
  const policies = new Map<ClusterName, Map<string, ParsePolicy>>(CLUSTERS.map((cluster) => [cluster, new Map()]));
  const services = new Map<ClusterName, Map<string, PolicyService>>(CLUSTERS.map((cluster) => [cluster, new Map()]));
  const groups = new Map<ClusterName, Map<string, readonly string[]>>(CLUSTERS.map((cluster) => [cluster, new Map()]));
  const podLabels = new Map(PODS.map(({ name, labels }) => [name, new Map(Object.entries(labels))]));
  const namespaceLabels = new Map(
    Object.entries(NAMESPACE_LABELS).map(([name, labels]) => {
      return [name, new Map(Object.entries({ ...labels, "kubernetes.io/metadata.name": name }))];
    }),
  );
  const numbers = new Map(PODS.map(({ name, cluster }, i) => [name, numberOf(cluster, i)]));

  function apply(object: PolicyObject, cluster: ClusterName): readonly Finding[] {
    const value = objectOf(object, addressOf);
    if (object.kind === "CiliumCIDRGroup") {
      groups.get(cluster)?.set(object.name, (value as { spec: { externalCIDRs: string[] } }).spec.externalCIDRs);
      return [];
    }
    if (object.kind === "Service") {
      services.get(cluster)?.set(object.name, serviceOf(value as ServiceObject));
      return [];
    }
    const parser = PARSERS[object.kind];
    const parse = () =>
      parser(value, {
        cluster,
        cidrGroups: groups.get(cluster) ?? new Map(),
        services: [...(services.get(cluster)?.values() ?? [])],
      });
    const parsed = parse();
    if (!parsed.ok) return parsed.findings;
    policies.get(cluster)?.set(`${object.kind} ${object.name}`, parse);
    return [];
  }

  function enginesOf(cluster: ClusterName) {
    const engine = createPolicyEngine();
    for (const parse of policies.get(cluster)?.values() ?? []) {
      const parsed = parse();
      if (parsed.ok) engine.setPolicy(parsed.policy);
    }
    engine.commit();
    for (const pod of PODS) {
      const labels = podIdentityLabels({
        ...{ cluster: pod.cluster, namespace: pod.namespace, serviceAccount: "default" },
        namespaceLabels: (pod.cluster === "solo" && namespaceLabels.get(pod.namespace)) || new Map(),
        podLabels: podLabels.get(pod.name) ?? new Map(),
      });
      const prefix = longest([...engine.prefixes.values()], addressOf(pod.name));
      const number = numbers.get(pod.name) as IdentityNumber;
      engine.setIdentity(number, { labels, ports: portsOf(pod), ...(prefix === undefined ? {} : { prefix }) });
      if (pod.cluster === cluster) engine.setSubject(pod.name, { identity: number, ports: portsOf(pod) });
    }
    engine.commit();
    return engine;
  }

  return {
    change(change) {
      if ("apply" in change) return apply(change.apply, change.in ?? "solo");
      if ("remove" in change) {
        const cluster = change.in ?? "solo";
        if (change.remove === "Service") services.get(cluster)?.delete(change.name);
        else policies.get(cluster)?.delete(`${change.remove} ${change.name}`);
      } else {
        const labels = "pod" in change ? podLabels.get(change.pod) : namespaceLabels.get(change.namespace);
        for (const [key, value] of Object.entries(change.labels)) {
          if (value === null) labels?.delete(key);
          else labels?.set(key, value);
        }
      }
      return [];
    },
    grid() {
      const engines = new Map(CLUSTERS.map((cluster) => [cluster, enginesOf(cluster)]));
      const allows = (pod: TruthPod, other: TruthPod, direction: Direction, { protocol, port }: Trial) => {
        const set = engines.get(pod.cluster)?.setOf(pod.name);
        const identity = numbers.get(other.name) as IdentityNumber;
        return set !== undefined && lookUp(set, { direction, identity, protocol, port }).allow;
      };
      return makeGrid(
        (client, server, trial) => allows(client, server, "egress", trial) && allows(server, client, "ingress", trial),
      );
    },
  };
}

function numberOf(cluster: ClusterName, i: number): IdentityNumber {
  return (((CLUSTERS.indexOf(cluster) + 1) << 20) | (256 + i)) as IdentityNumber;
}

function portsOf({ sql }: TruthPod) {
  return sql === undefined ? [] : [{ name: SQL, port: sql, protocol: TCP }];
}

function longest(prefixes: readonly Prefix[], address: string): Prefix | undefined {
  const bytes = parseAddress(address);
  const containing = prefixes.filter((prefix) => prefixContains(prefix, bytes));
  return containing.sort((a, b) => b.length - a.length)[0];
}
