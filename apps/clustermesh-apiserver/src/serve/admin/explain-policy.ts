/**
 * One direction of `mesh policy explain`: what policy says of a flow between a pod of this cluster and an address, by the records that
 * agents get, and by the maps of the pod's node.
 *
 * ```
 *   pod by its name ─► view of its node, of the identities of both ends ─► decision
 *                  └─► query to its agent ─► entries of the maps ─► records that the node has not applied yet
 * ```
 */
import { status } from "@grpc/grpc-js";
import {
  type IdentityNumber,
  identityCluster,
  NODE_LOCAL_CLUSTER,
  RESERVED,
  reservedIdentity,
} from "@isthmus/identity";
import { bytesKey, isV4, isV4Multicast, printable, type ServiceName } from "@isthmus/model";
import { nameIdentity } from "@isthmus/node-policy";
import { type Direction, lookUp, NO_RULE, parsePolicyKey, type RuleName } from "@isthmus/policy";
import {
  Endpoint,
  EventIdentity,
  type ExplainedEnd,
  type ExplainedPod,
  type ExplainPolicyRequest,
  ExplainPolicyResponse,
  Identity,
  Kind,
  MonitorState,
  type PolicyDecision,
  PolicyDirection,
  type PolicyEntries,
  type PolicyRule,
  Service,
} from "@isthmus/proto";
import { asBuffer, endpointKey, type HashedRecord, identityKey, serviceKey } from "@isthmus/records";
import { inSlices, inTurns, type Slices } from "@isthmus/runtime";
import type { ReportedPolicies } from "../../ports/enforced-policies.js";
import type { StreamSource, StreamSources } from "../../ports/stream-source.js";
import { adminError } from "./admin-error.js";
import { type AskNodeModules, askNode } from "./ask-node.js";
import { cleanIdentity, cleanRule } from "./clean-policy.js";
import {
  eachEndpoint,
  type LocalClusterName,
  openPolicyView,
  type PodEndpoint,
  type PolicyView,
  podEndpoint,
} from "./policy-view.js";
import { type AppliedPositions, unappliedRecords } from "./unapplied-records.js";

export interface ExplainPolicyModules extends AskNodeModules {
  /** The local cluster first. */
  readonly sources: Pick<StreamSources, "all">;
  /** The local cluster. */
  readonly local: LocalClusterName;
  /** What nodes have applied. */
  readonly applied: AppliedPositions;
  /** What their agents report of policies. */
  readonly reported: (node: string) => ReportedPolicies | undefined;
}

const DIRECTIONS: ReadonlyMap<PolicyDirection, Direction> = new Map([
  [PolicyDirection.POLICY_DIRECTION_INGRESS, "ingress"],
  [PolicyDirection.POLICY_DIRECTION_EGRESS, "egress"],
]);
const MAX_NAME = 253;
/** Policies that select the pod, in one answer. */
const MAX_SELECTING = 100;
/** Rules that share a number: two, hardly ever. */
const MAX_RULES = 8;
const RECORDS_PER_SLICE = 16;

/** A flow of a pod of this cluster. */
interface AskedFlow {
  readonly direction: Direction;
  /** 16 bytes. */
  readonly other: Uint8Array;
  readonly protocol: number;
  readonly port: number;
}

/** Throws `ADMIN` for a request that cannot be answered. */
export async function explainPolicy(
  request: ExplainPolicyRequest,
  modules: ExplainPolicyModules,
): Promise<ExplainPolicyResponse> {
  const flow = flowOf(request);
  const sources = [...modules.sources.all];
  const [own] = sources;
  if (own === undefined) throw adminError(status.UNAVAILABLE, "this server has no records yet");
  const { local } = modules;
  const { cluster } = local;
  const endpoint = await inTurns(findPod(own, local, request));
  if (endpoint === undefined) {
    const isService = own.index.get(serviceKey(`${request.namespace}/${request.pod}` as ServiceName)) !== undefined;
    return ExplainPolicyResponse.fromPartial({ cluster, isService });
  }
  const pod = explainedPod(own, endpoint);
  if (flow === undefined) return ExplainPolicyResponse.fromPartial({ cluster, pod });
  const { other, policies, keys } = await inTurns(decide(sources, local, endpoint, flow));
  const { direction, protocol, port } = request;
  const query = { pod: Buffer.from(endpoint.address), other: request.other, direction, protocol, port };
  const { node, part } = await askNode(endpoint.node, { $case: "policy", value: query }, "policy", modules);
  const isHeard = node.state === MonitorState.MONITOR_STATE_HEARD;
  return {
    ...{ cluster, pod, isService: false, other, policies, node },
    maps: part && cleaned(part.value),
    unapplied: isHeard ? unappliedRecords(sources, endpoint.node, keys, modules.applied) : [],
    refused: isHeard ? [...(modules.reported(endpoint.node)?.refused.values() ?? [])] : [],
  };
}

/** Undefined: only the pod is asked for. */
function flowOf({ namespace, pod, direction, other, protocol, port }: ExplainPolicyRequest): AskedFlow | undefined {
  if (
    namespace === "" ||
    pod === "" ||
    namespace.length > MAX_NAME ||
    pod.length > MAX_NAME ||
    /[/]/.test(namespace + pod)
  )
    throw adminError(status.INVALID_ARGUMENT, "the request names no pod");
  if (direction === PolicyDirection.POLICY_DIRECTION_UNSPECIFIED) return undefined;
  const asked = DIRECTIONS.get(direction);
  if (asked === undefined || other.length !== 16 || protocol < 1 || protocol > 255 || port > 65535)
    throw adminError(status.INVALID_ARGUMENT, "the request has no address, protocol or port of a flow");
  return { direction: asked, other, protocol, port };
}

/** Of a pod with an address of each family the IPv4 one, by which policy is enforced. */
function* findPod(
  own: StreamSource,
  { clusterId }: LocalClusterName,
  { namespace, pod }: ExplainPolicyRequest,
): Slices<PodEndpoint | undefined> {
  let found: PodEndpoint | undefined;
  const name = Buffer.from(pod);
  const mayBe = (value: Uint8Array) => asBuffer(value).includes(name);
  yield* eachEndpoint(own, clusterId, mayBe, (endpoint) => {
    if (endpoint.pod !== pod || endpoint.namespace !== namespace) return;
    if (found === undefined || isV4(endpoint.address)) found = endpoint;
  });
  return found;
}

function explainedPod(own: StreamSource, { address, node, identity: number }: PodEndpoint): ExplainedPod {
  const record = own.index.get(identityKey(number));
  const labels = new Map<string, string>();
  try {
    for (const { key, value } of record === undefined ? [] : Identity.decode(record.value).labels)
      labels.set(key, value);
  } catch {
    // Not readable: no agent knows it.
  }
  return { address: Buffer.from(address), node: printable(node, MAX_NAME), identity: shown(number, { labels }) };
}

interface Decided {
  readonly other: ExplainedEnd;
  readonly policies: PolicyDecision | undefined;
  /** Of the records of both ends. */
  readonly keys: ReadonlySet<string>;
}

function* decide(
  sources: readonly StreamSource[],
  local: LocalClusterName,
  pod: PodEndpoint,
  flow: AskedFlow,
): Slices<Decided> {
  const otherKey = endpointKey(flow.other);
  const others = sources.flatMap((source) => {
    const record = source.index.get(otherKey);
    return (record && podEndpoint(source, local.clusterId, record)) ?? [];
  });
  const identities = new Set([pod, ...others].map(({ identity }) => identity));
  const podAddress = bytesKey(pod.address);
  const otherAddress = bytesKey(flow.other);
  const numbers = [...identities].map(identityBytes);
  const view = yield* openPolicyView(sources, {
    ...local,
    node: pod.node,
    clusters: new Set([...identities].map(identityCluster)),
    mayWant: (value) => numbers.some((number) => asBuffer(value).includes(number)),
    wants({ clusterId, address, identity }) {
      const key = bytesKey(address);
      if (key === podAddress && clusterId === local.clusterId) return "subject";
      // Other pods of an identity say which ports it has by their names.
      return key === otherAddress || identities.has(identity) ? "peer" : undefined;
    },
  });
  // What a pod sends there, its node alone gets.
  const isNode = flow.direction === "egress" && isV4Multicast(flow.other);
  const number = isNode ? reservedIdentity("host") : view.identityAt(flow.other);
  const [owner] = others;
  const service = owner === undefined && !view.desired.addresses.has(otherAddress);
  return {
    other: {
      identity: shown(number, view.engine.identityOf(number)),
      cluster: printable(owner?.cluster ?? "", MAX_NAME),
      namespace: printable(owner?.namespace ?? "", MAX_NAME),
      pod: printable(owner?.pod ?? "", MAX_NAME),
      service: service ? yield* serviceAt(sources[0], flow.other) : "",
    },
    policies: decision(view, podAddress, number, flow),
    keys: new Set([endpointKey(pod.address), otherKey, ...[...identities].map(identityKey)]),
  };
}

/** As a record of an endpoint has the number of its identity. */
function identityBytes(number: IdentityNumber): Buffer {
  return Buffer.from(Endpoint.encode(Endpoint.fromPartial({ identity: number })).finish());
}

function decision(
  { desired, engine }: PolicyView,
  pod: string,
  other: IdentityNumber,
  { direction, protocol, port }: AskedFlow,
): PolicyDecision | undefined {
  const subject = desired.subjects.get(pod);
  if (subject === undefined) return undefined;
  // A node has its pods at its mercy anyway, and the kubelet must reach them.
  const isOwnNode = direction === "ingress" && other === RESERVED.host;
  const { allow, rule } = isOwnNode
    ? { allow: true, rule: NO_RULE }
    : lookUp(subject.set, { direction, identity: other, protocol, port });
  const isolating = new Map<string, boolean>();
  for (const { policy, isolates } of engine.policiesOf(pod))
    isolating.set(policy, (isolating.get(policy) ?? false) || isolates.has(direction));
  const selecting = [...isolating].map(([policy, isolates]) => ({ policy: parsePolicyKey(policy), isolates }));
  return {
    ...{ allowed: allow, rule, audited: subject.audited },
    rules:
      rule === NO_RULE
        ? []
        : engine
            .rulesOf(rule)
            .filter((one) => one.direction === direction)
            .slice(0, MAX_RULES)
            .map(ruleOf),
    selecting: selecting.slice(0, MAX_SELECTING),
    moreSelecting: Math.max(0, selecting.length - MAX_SELECTING),
  };
}

function ruleOf({ policy, path }: RuleName): PolicyRule {
  return { policy: parsePolicyKey(policy), path };
}

/** `namespace/name` of the Service of this cluster that has this ClusterIP; "": none. */
function* serviceAt(own: StreamSource | undefined, address: Uint8Array): Slices<string> {
  const wanted = bytesKey(address);
  let found = "";
  yield* inSlices([...(own?.index.records(Kind.KIND_SERVICE) ?? [])], RECORDS_PER_SLICE, (record) => {
    if (frontendsOf(record).some((one) => bytesKey(one) === wanted))
      found = record.key.slice(record.key.indexOf("/") + 1);
  });
  return printable(found, 2 * MAX_NAME);
}

function frontendsOf({ value }: HashedRecord): readonly Uint8Array[] {
  try {
    return Service.decode(value).frontends;
  } catch {
    return [];
  }
}

/** A number that has a meaning on one node only is left out. */
function shown(number: number, identity: Parameters<typeof nameIdentity>[0] | undefined): EventIdentity {
  const { labels, moreLabels, prefix } = nameIdentity(identity ?? { labels: new Map() });
  const known = identityCluster(number) === NODE_LOCAL_CLUSTER ? 0 : number;
  const named = EventIdentity.fromPartial({ number: known, labels, moreLabels, prefix });
  cleanIdentity(named);
  return named;
}

/** What an agent says, as it may be shown. */
function cleaned(entries: PolicyEntries): PolicyEntries {
  for (const rule of entries.rules) cleanRule(rule);
  if (entries.otherIdentity !== undefined) cleanIdentity(entries.otherIdentity);
  if (entries.other !== undefined) entries.other.prefix = printable(entries.other.prefix, 64);
  return entries;
}
