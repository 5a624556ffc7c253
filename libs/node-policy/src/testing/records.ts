/** Makers of the records that policy is made of. */
import { type IdentityNumber, identityNumber } from "@isthmus/identity";
import { parseAddress, parseClusterId, parsePrefix } from "@isthmus/model";
import { type NamedPort, podIdentityLabels } from "@isthmus/policy";
import { Endpoint, Identity, Kind, Node } from "@isthmus/proto";
import { endpointKey, type HashedRecord, hashRecord, identityKey, nodeKey } from "@isthmus/records";
import { makePolicy } from "@isthmus/testing";

const bytes = (address: string): Buffer => Buffer.from(parseAddress(address));

/** The `local`-th number of a cluster, from 256 on. */
export function numberOf(cluster: number, local: number): IdentityNumber {
  return identityNumber(parseClusterId(cluster), local);
}

/** Labels of pods of namespace `shop`. */
export function shopLabels(cluster: string, labels: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return podIdentityLabels({
    cluster,
    namespace: "shop",
    namespaceLabels: new Map(),
    serviceAccount: "default",
    podLabels: new Map(Object.entries(labels)),
  });
}

export function makeIdentity(number: IdentityNumber, labels: ReadonlyMap<string, string>): HashedRecord {
  const sorted = [...labels].map(([key, value]) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : 1));
  return hashRecord(Kind.KIND_IDENTITY, identityKey(number), Identity.encode({ labels: sorted }).finish());
}

export interface EndpointSpec {
  readonly node?: string;
  readonly uid?: string;
  readonly ports?: readonly NamedPort[];
  /** In audit mode. */
  readonly audited?: boolean;
}

/** The pod has the uid `uid-ADDRESS` unless it is given. */
export function makeEndpoint(address: string, identity: IdentityNumber, spec: EndpointSpec = {}): HashedRecord {
  const { node = "n1", uid = `uid-${address}`, ports = [], audited = false } = spec;
  const endpoint = { address: bytes(address), identity, node, podUid: uid, ports: [...ports], audited };
  return hashRecord(
    Kind.KIND_ENDPOINT,
    endpointKey(parseAddress(address)),
    Endpoint.encode(Endpoint.fromPartial(endpoint)).finish(),
  );
}

export interface NodeSpec {
  readonly addresses: readonly string[];
  readonly podCidrs?: readonly string[];
  readonly health?: string;
}

export function makeMeshNode(name: string, { addresses, podCidrs = [], health }: NodeSpec): HashedRecord {
  const node = {
    name,
    addresses: addresses.map(bytes),
    podCidrs: podCidrs.map(parsePrefix).map(({ address, length }) => ({ address: Buffer.from(address), length })),
    health: health === undefined ? Buffer.alloc(0) : bytes(health),
  };
  return hashRecord(Kind.KIND_NODE, nodeKey(name), Node.encode(Node.fromPartial(node)).finish());
}

/** NetworkPolicy of namespace shop for pods with this app; peers as the API has them. */
export function allow(
  name: string,
  app: string,
  direction: "ingress" | "egress",
  peers: readonly object[],
): HashedRecord {
  return makePolicy(`shop/${name}`, {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: "shop", name },
    spec: {
      podSelector: { matchLabels: { app } },
      policyTypes: [direction === "ingress" ? "Ingress" : "Egress"],
      [direction]: [{ [direction === "ingress" ? "from" : "to"]: peers }],
    },
  });
}
