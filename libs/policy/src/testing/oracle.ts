/**
 * What NetworkPolicies mean, straight from the documentation of Kubernetes: pods, labels and addresses, one question at a time,
 * without identities. It shares no code with the engine.
 */
import {
  LOCAL,
  type TestMesh,
  type TestPeer,
  type TestPod,
  type TestPort,
  type TestRule,
  type TestSelector,
} from "./mesh.js";

/** The other end of a flow: a pod, or an address of none. */
export type TestEnd = TestPod | string;

/** Whether policies let `end` reach the pod, or the pod reach `end`; `port`: of the end at which the flow did not begin. */
export function oracleAllows(
  mesh: TestMesh,
  pod: TestPod,
  direction: "ingress" | "egress",
  end: TestEnd,
  protocol: string,
  port: number,
): boolean {
  const selecting = mesh.policies.filter(
    ({ metadata, spec }) =>
      pod.cluster === LOCAL &&
      metadata.namespace === pod.namespace &&
      matches(spec.podSelector, pod.labels) &&
      typesOf(spec).includes(direction === "ingress" ? "Ingress" : "Egress"),
  );
  if (selecting.length === 0) return true;
  const target = direction === "ingress" ? pod : end;
  return selecting.some(({ metadata, spec }) =>
    (spec[direction] ?? []).some(
      (rule) =>
        allowsEnd(mesh, metadata.namespace, direction === "ingress" ? rule.from : rule.to, end) &&
        allowsPort(rule, target, protocol, port),
    ),
  );
}

function typesOf({ policyTypes, egress }: TestMesh["policies"][number]["spec"]): readonly string[] {
  if (policyTypes !== undefined && policyTypes.length > 0) return policyTypes;
  return egress !== undefined && egress.length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

function allowsEnd(mesh: TestMesh, namespace: string, peers: readonly TestPeer[] | undefined, end: TestEnd): boolean {
  if (peers === undefined || peers.length === 0) return true;
  return peers.some((peer) => {
    if (peer.ipBlock !== undefined) {
      const address = typeof end === "string" ? end : end.address;
      const { cidr, except = [] } = peer.ipBlock;
      return contains(cidr, address) && !except.some((one) => contains(one, address));
    }
    if (typeof end === "string" || end.cluster !== LOCAL) return false;
    const labels = mesh.namespaces[`${end.cluster}/${end.namespace}`] ?? {};
    const isNamespace =
      peer.namespaceSelector === undefined ? end.namespace === namespace : matches(peer.namespaceSelector, labels);
    return isNamespace && (peer.podSelector === undefined || matches(peer.podSelector, end.labels));
  });
}

function allowsPort({ ports }: TestRule, target: TestEnd, protocol: string, port: number): boolean {
  if (ports === undefined || ports.length === 0) return true;
  return ports.some((one) => (one.protocol ?? "TCP") === protocol && hasPort(one, target, protocol, port));
}

function hasPort(rule: TestPort, target: TestEnd, protocol: string, port: number): boolean {
  if (rule.port === undefined) return true;
  if (typeof rule.port === "number") return port >= rule.port && port <= (rule.endPort ?? rule.port);
  if (typeof target === "string") return false;
  return target.ports.some((one) => one.name === rule.port && one.protocol === protocol && one.port === port);
}

/** The meaning of a LabelSelector. */
export function matches(selector: TestSelector, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === "Exists") return value !== undefined;
    if (operator === "DoesNotExist") return value === undefined;
    const isIn = value !== undefined && values.includes(value);
    return operator === "In" ? isIn : !isIn;
  });
}

/** Bits of an address, most significant first, after its family. */
export function addressBits(address: string): string {
  if (address.includes(":")) {
    const [head = "", tail] = address.split("::");
    const left = head === "" ? [] : head.split(":");
    const right = tail === undefined || tail === "" ? [] : tail.split(":");
    const groups = [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
    return groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join("");
  }
  return address
    .split(".")
    .map((part) => Number(part).toString(2).padStart(8, "0"))
    .join("");
}

/** True when a range contains an address of its family. */
export function contains(cidr: string, address: string): boolean {
  const [base = "", length] = cidr.split("/");
  const bits = Number(length);
  return (
    base.includes(":") === address.includes(":") &&
    addressBits(base).slice(0, bits) === addressBits(address).slice(0, bits)
  );
}
