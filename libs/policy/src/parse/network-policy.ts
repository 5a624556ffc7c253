/**
 * Reads a NetworkPolicy of `networking.k8s.io/v1`, all of it.
 *
 * In: the object as the API has it. Out: the policy, or findings that name each field that is unknown or malformed; a policy is
 * accepted whole or not at all. Its subjects and its peers are pods of the local cluster: NetworkPolicy knows no other.
 */
import { CLUSTER_LABEL, isReservedKey, NAMESPACE_LABEL, NAMESPACE_LABELS } from "@isthmus/identity";
import type { Direction, Peer, Policy, PolicyRule } from "../model/policy.js";
import { createSelector, type Requirement } from "../model/selector.js";
import { isAbsent, joinPath, type Reader, readChoice, readList, readObject } from "./findings.js";
import { readIpBlock } from "./ip-block.js";
import { checkLabelKey, checkSelectable, type KeyMapper, readLabelSelector } from "./label-selector.js";
import { readMetadata } from "./metadata.js";
import { readPorts } from "./network-policy-ports.js";
import { checkKind, type ParsedPolicy, type ParseOptions, parseWhole } from "./parsed-policy.js";

/** Never throws; any value may come in. */
export function parseNetworkPolicy(object: unknown, options: ParseOptions): ParsedPolicy {
  return parseWhole((reader) => readPolicy(reader, object, options));
}

function readPolicy(reader: Reader, object: unknown, { cluster }: ParseOptions): Policy | undefined {
  const fields = readObject(reader, object, "", ["apiVersion", "kind", "metadata", "spec", "status"]);
  if (fields === undefined) return undefined;
  checkKind(reader, fields["apiVersion"], "apiVersion", "networking.k8s.io/v1");
  checkKind(reader, fields["kind"], "kind", "NetworkPolicy");
  const names = readMetadata(reader, fields["metadata"]);
  const spec = readObject(reader, fields["spec"], "spec", ["podSelector", "policyTypes", "ingress", "egress"]);
  if (names === undefined || spec === undefined) return undefined;
  const local: Requirement[] = [{ key: CLUSTER_LABEL, operator: "In", values: [cluster] }];
  const inNamespace: Requirement[] = [...local, { key: NAMESPACE_LABEL, operator: "In", values: [names.namespace] }];
  const isolates = readTypes(reader, spec["policyTypes"], spec["egress"]);
  const pods = readPods(reader, spec["podSelector"], "spec.podSelector");
  const rules = (["ingress", "egress"] as const).flatMap((direction) => {
    const read = readRules(reader, spec[direction], direction, { local, inNamespace });
    return isolates.has(direction) ? read : [];
  });
  return {
    kind: "NetworkPolicy",
    ...names,
    specs: [{ subject: createSelector([...inNamespace, ...pods]), isolates, rules }],
  };
}

/** Ingress always, and egress where there are rules for it, unless it is said. */
function readTypes(reader: Reader, value: unknown, egress: unknown): ReadonlySet<Direction> {
  const types = readList(reader, value, "spec.policyTypes").map(([one, at]) =>
    readChoice(reader, one, at, ["Ingress", "Egress"]),
  );
  const isEgress = types.length === 0 ? Array.isArray(egress) && egress.length > 0 : types.includes("Egress");
  const isIngress = types.length === 0 || types.includes("Ingress");
  return new Set<Direction>([...(isIngress ? ["ingress" as const] : []), ...(isEgress ? ["egress" as const] : [])]);
}

/** An ipBlock means whatever has the address, pods too. */
const ANYTHING = createSelector([]);

/** Where the peers of a rule are looked for. */
interface Scope {
  /** All pods of the local cluster. */
  readonly local: readonly Requirement[];
  /** Those of the policy's namespace. */
  readonly inNamespace: readonly Requirement[];
}

function readRules(reader: Reader, value: unknown, direction: Direction, scope: Scope): PolicyRule[] {
  const list = direction === "ingress" ? "from" : "to";
  return readList(reader, value, `spec.${direction}`).flatMap(([one, path]) => {
    const fields = readObject(reader, one, path, [list, "ports"]);
    if (fields === undefined) return [];
    const peers = readList(reader, fields[list], joinPath(path, list));
    const read = peers.flatMap(([peer, at]) => readPeer(reader, peer, at, scope) ?? []);
    const ports = readPorts(reader, fields["ports"], joinPath(path, "ports"));
    return [{ direction, action: "allow" as const, path, peers: peers.length === 0 ? ("all" as const) : read, ports }];
  });
}

function readPeer(reader: Reader, value: unknown, path: string, scope: Scope): Peer | undefined {
  const fields = readObject(reader, value, path, ["podSelector", "namespaceSelector", "ipBlock"]);
  if (fields === undefined) return undefined;
  const { podSelector, namespaceSelector, ipBlock } = fields;
  const isOfPods = !isAbsent(podSelector) || !isAbsent(namespaceSelector);
  if (isAbsent(ipBlock) === !isOfPods) {
    reader.refuse(path, "must have either an ipBlock, or a podSelector, a namespaceSelector or both");
    return undefined;
  }
  if (!isOfPods) {
    const block = readIpBlock(reader, ipBlock, joinPath(path, "ipBlock"));
    return block && { kind: "block", block, selector: ANYTHING };
  }
  const namespaces = isAbsent(namespaceSelector)
    ? scope.inNamespace
    : [...scope.local, ...readNamespaces(reader, namespaceSelector, joinPath(path, "namespaceSelector"))];
  const pods = readPods(reader, podSelector, joinPath(path, "podSelector"));
  return { kind: "labels", selector: createSelector([...namespaces, ...pods]) };
}

/** All of a namespace where the selector is absent. */
function readPods(reader: Reader, value: unknown, path: string): Requirement[] {
  return isAbsent(value) ? [] : readLabelSelector(reader, value, path, podKey(reader));
}

/** Only pods have a namespace, so an empty selector asks for one. */
function readNamespaces(reader: Reader, value: unknown, path: string): Requirement[] {
  const read = readLabelSelector(reader, value, path, (key, at) => {
    checkLabelKey(reader, key, at);
    return NAMESPACE_LABELS + key;
  });
  return [{ key: NAMESPACE_LABEL, operator: "Exists" }, ...read];
}

function podKey(reader: Reader): KeyMapper {
  return (key, path) => {
    checkLabelKey(reader, key, path);
    checkSelectable(reader, key, path);
    if (isReservedKey(key))
      reader.refuse(
        path,
        "is no label of pods: select namespaces by a namespaceSelector, all else by a CiliumNetworkPolicy",
      );
    return key;
  };
}
