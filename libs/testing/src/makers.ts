/** Makers of records for tests; options that are not given have working defaults. */
import { parseAddress, parsePrefix, serviceName, TCP } from "@isthmus/model";
import {
  Affinity,
  Family,
  Kind,
  Node,
  NodeConfig,
  Policy,
  type Port,
  Service,
  ServiceConfig,
  Slice,
} from "@isthmus/proto";
import {
  type HashedRecord,
  hashRecord,
  nodeConfigKey,
  nodeKey,
  policyRecordKey,
  serviceConfigKey,
  serviceKey,
  sliceKey,
} from "@isthmus/records";

const ADDRESS = (text: string): Buffer => Buffer.from(parseAddress(text));

export interface ServiceSpec {
  /** ClusterIP; headless when absent. */
  readonly ip?: string;
  readonly ports?: readonly Port[];
  readonly shared?: boolean;
}

export const HTTP: Port = { name: "http", protocol: TCP, port: 80 };

/** `name` is `<namespace>/<name>`. */
export function makeService(name: string, spec: ServiceSpec = {}): HashedRecord {
  const value = Service.encode(
    Service.fromPartial({
      uid: `uid-${name}`,
      ports: [...(spec.ports ?? [HTTP])],
      shared: spec.shared ?? true,
      frontends: spec.ip === undefined ? [] : [ADDRESS(spec.ip)],
    }),
  ).finish();
  return hashRecord(Kind.KIND_SERVICE, serviceKey(split(name)), value);
}

export interface SliceSpec {
  /** Addresses of ready backends, and of terminating ones that still serve. */
  readonly ready?: readonly string[];
  readonly terminating?: readonly string[];
  readonly node?: string;
  readonly ports?: readonly Port[];
  readonly slice?: string;
}

export function makeSlice(name: string, spec: SliceSpec): HashedRecord {
  const backend = (address: string, conditions: number) => ({
    address: ADDRESS(address),
    conditions,
    node: spec.node ?? "",
    podUid: `uid-${address}`,
  });
  const backends = [
    ...(spec.ready ?? []).map((address) => backend(address, 1)),
    ...(spec.terminating ?? []).map((address) => backend(address, 6)),
  ].sort((a, b) => Buffer.compare(a.address, b.address));
  const ports = [...(spec.ports ?? [{ ...HTTP, port: 8080 }])];
  const value = Slice.encode(Slice.fromPartial({ family: Family.FAMILY_IPV4, ports, backends })).finish();
  return hashRecord(Kind.KIND_SLICE, sliceKey(split(name), spec.slice ?? "a"), value);
}

export function makeConfig(name: string, affinity: "none" | "local" | "remote" = "none", global = true): HashedRecord {
  const of = { none: Affinity.AFFINITY_NONE, local: Affinity.AFFINITY_LOCAL, remote: Affinity.AFFINITY_REMOTE };
  const value = ServiceConfig.encode(ServiceConfig.fromPartial({ global, affinity: of[affinity] })).finish();
  return hashRecord(Kind.KIND_SERVICE_CONFIG, serviceConfigKey(split(name)), value);
}

export function makeNode(name: string, ip: string, podCidr: string): HashedRecord {
  const node = { name, addresses: [ADDRESS(ip)], podCidrs: [PREFIX(podCidr)], tunnel: ADDRESS(ip), conditions: 1 };
  return hashRecord(Kind.KIND_NODE, nodeKey(name), Node.encode(Node.fromPartial(node)).finish());
}

export function makeNodeConfig(name: string, podCidr: string, serviceCidrs: readonly string[] = []): HashedRecord {
  const config = { name, podCidrs: [PREFIX(podCidr)], serviceCidrs: serviceCidrs.map(PREFIX) };
  const value = NodeConfig.encode(NodeConfig.fromPartial(config)).finish();
  return hashRecord(Kind.KIND_NODE_CONFIG, nodeConfigKey(name), value);
}

/** Of a NetworkPolicy; `path` is `<namespace>/<name>`, `object` what the API has. */
export function makePolicy(path: string, object: object, generation = 1): HashedRecord {
  const [namespace = "", name = ""] = path.split("/");
  const names = { resource: "networkpolicies", namespace, name };
  const policy = {
    ...names,
    ...{ cidrGroups: [], meshScope: false, services: [] },
    uid: `uid-${path}`,
    generation: BigInt(generation),
    object: Buffer.from(JSON.stringify(object)),
  };
  return hashRecord(Kind.KIND_POLICY, policyRecordKey(names), Policy.encode(policy).finish());
}

function PREFIX(text: string): { address: Buffer; length: number } {
  const { address, length } = parsePrefix(text);
  return { address: Buffer.from(address), length };
}

function split(name: string): ReturnType<typeof serviceName> {
  const [namespace = "", service = ""] = name.split("/");
  return serviceName(namespace, service);
}
