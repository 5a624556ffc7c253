/** Policies of the shapes that the oracle knows. */
import {
  type CiliumSpec,
  CLUSTER_KEY,
  type LabelSelector,
  NAMESPACE_KEY,
  type NetworkPolicySpec,
  type PolicyKind,
  type PolicySpec,
} from "./oracle.js";
import type { Random } from "./random.js";

export const COLORS = ["red", "blue"] as const;
export const TEAMS = ["one", "two"] as const;
export const ROLES = ["client", "server"] as const;
/** The servers' ports. */
export const PORTS = [7000, 7001] as const;
/** What policies with ports name: the first port, both, and ranges that end or begin right beside a port. */
const NAMED_PORTS = [
  { port: PORTS[0] },
  { port: PORTS[0], endPort: PORTS[1] },
  { port: PORTS[0] - 1000, endPort: PORTS[0] - 1 },
  { port: PORTS[0] - 1000, endPort: PORTS[0] },
  { port: PORTS[1], endPort: PORTS[1] + 100 },
  { port: PORTS[1] + 1, endPort: PORTS[1] + 100 },
] as const;
const WITH_PORTS = 0.5;

export interface PolicyPlace {
  readonly clusters: readonly string[];
  readonly namespaces: readonly string[];
  /** Ranges of pods of clusters and of nodes. */
  readonly ranges: readonly string[];
}

/** A spec of the kind. */
export function randomSpec(kind: PolicyKind, random: Random, place: PolicyPlace): PolicySpec {
  if (kind === "NetworkPolicy") return networkPolicy(random, place);
  const spec = ciliumPolicy(random, place);
  if (kind === "CiliumNetworkPolicy" || random.chance(0.5)) return spec;
  const { matchLabels } = spec.endpointSelector;
  const ofNamespace = { [NAMESPACE_KEY]: random.pick(place.namespaces) };
  return { ...spec, endpointSelector: { matchLabels: { ...matchLabels, ...ofNamespace } } };
}

function selector(random: Random): LabelSelector {
  return random.pick<LabelSelector>([
    {},
    { matchLabels: { role: random.pick(ROLES) } },
    { matchLabels: { color: random.pick(COLORS) } },
  ]);
}

function networkPolicy(random: Random, { ranges }: PolicyPlace): NetworkPolicySpec {
  const color = { matchLabels: { color: random.pick(COLORS) } };
  const team = { matchLabels: { team: random.pick(TEAMS) } };
  const range = random.pick(ranges);
  const peers = random.pick([
    [{ podSelector: color }],
    [{ namespaceSelector: team }],
    [{ namespaceSelector: team, podSelector: color }],
    [{ namespaceSelector: {}, podSelector: color }],
    [{ namespaceSelector: {} }],
    [{ ipBlock: { cidr: range } }],
    [{ ipBlock: { cidr: "10.0.0.0/8", except: [range] } }],
    [{ podSelector: {} }, { ipBlock: { cidr: range } }],
  ]);
  const protocol = random.weighted({ TCP: 2, UDP: 1 });
  const ports = random.chance(WITH_PORTS) ? { ports: [{ protocol, ...random.pick(NAMED_PORTS) }] } : {};
  const podSelector = selector(random);
  if (random.chance(0.15)) return { podSelector, policyTypes: [random.pick(["Ingress", "Egress"] as const)] };
  if (random.chance(0.6)) return { podSelector, policyTypes: ["Ingress"], ingress: [{ from: peers, ...ports }] };
  return { podSelector, policyTypes: ["Egress"], egress: [{ to: peers, ...ports }] };
}

function ciliumPolicy(random: Random, { clusters, namespaces, ranges }: PolicyPlace): CiliumSpec {
  const color = { color: random.pick(COLORS) };
  const anyCluster = { matchExpressions: [{ key: CLUSTER_KEY, operator: "Exists" as const }] };
  const endpoints = random.pick<LabelSelector>([
    { matchLabels: color },
    { matchLabels: { ...color, [CLUSTER_KEY]: random.pick(clusters) } },
    { matchLabels: { [NAMESPACE_KEY]: random.pick(namespaces), [CLUSTER_KEY]: random.pick(clusters) } },
    { matchLabels: color, ...anyCluster },
    { matchLabels: { ...color, [NAMESPACE_KEY]: random.pick(namespaces) }, ...anyCluster },
    { ...anyCluster },
  ]);
  const what = random.weighted({ endpoints: 6, entities: 2, ranges: 1, nobody: 1 });
  const entities = [random.pick(["all", "cluster"] as const)];
  const range = [random.pick(ranges)];
  const { port, ...end } = random.pick(NAMED_PORTS);
  const protocol = random.weighted({ TCP: 3, UDP: 1, ANY: 1 });
  const toPorts = random.chance(WITH_PORTS) ? { toPorts: [{ ports: [{ port: String(port), ...end, protocol }] }] } : {};
  const endpointSelector = selector(random);
  const isDeny = random.chance(0.25);
  if (random.chance(0.6)) {
    const rule = {
      endpoints: { fromEndpoints: [endpoints], ...toPorts },
      entities: { fromEntities: entities, ...toPorts },
      ranges: { fromCIDR: range, ...toPorts },
      nobody: {},
    }[what];
    if (!isDeny || what === "nobody") return { endpointSelector, ingress: [rule] };
    return { endpointSelector, ingress: [{ fromEntities: ["all"] }], ingressDeny: [rule] };
  }
  const rule = {
    endpoints: { toEndpoints: [endpoints], ...toPorts },
    entities: { toEntities: entities, ...toPorts },
    ranges: { toCIDR: range, ...toPorts },
    nobody: {},
  }[what];
  if (!isDeny || what === "nobody") return { endpointSelector, egress: [rule] };
  return { endpointSelector, egress: [{ toEntities: ["all"] }], egressDeny: [rule] };
}
