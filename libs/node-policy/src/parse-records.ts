/** Reads the records that policy is made of; what cannot be trusted is thrown. */
import { type IdentityNumber, isIdentityOf, parseIdentity } from "@isthmus/identity";
import { type Address, addressFromBytes, type ClusterId, MeshError, printable } from "@isthmus/model";
import {
  CLUSTER_LABEL,
  type Labels,
  type NamedPort,
  type ParsedPolicy,
  type ParseOptions,
  type Policy,
  parseCiliumClusterwideNetworkPolicy,
  parseCiliumNetworkPolicy,
  parseNetworkPolicy,
} from "@isthmus/policy";
import { Endpoint, Identity, Policy as PolicyRecord } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";

/** A pod's address, as its record has it. */
export interface EndpointFacts {
  readonly address: Address;
  readonly identity: IdentityNumber;
  readonly ports: readonly NamedPort[];
  /** Kubernetes name of its node. */
  readonly node: string;
  readonly podUid: string;
  /** In audit mode. */
  readonly audited: boolean;
}

export interface IdentityFacts {
  readonly number: IdentityNumber;
  readonly labels: Labels;
}

/**
 * Labels that no pod has are refused, since policies know hosts and the world by them, and so is the label of another cluster.
 * `cluster`: name of the record's cluster, if it is known.
 */
export function readIdentity(clusterId: number, record: HashedRecord, cluster: string | undefined): IdentityFacts {
  const number = parseIdentity(afterSlash(record.key));
  const labels = new Map(Identity.decode(record.value).labels.map(({ key, value }) => [key, value]));
  requireOf(clusterId, number);
  const reserved = [...labels.keys()].find((key) => key.startsWith("reserved:"));
  if (reserved !== undefined) throw refusal(number, `no pod has the label "${printable(reserved, 60)}"`);
  const named = labels.get(CLUSTER_LABEL) ?? "";
  if (cluster !== undefined && named !== cluster)
    throw refusal(number, `its label names cluster "${printable(named, 60)}", and it is of "${cluster}"`);
  return { number, labels };
}

/** The identity must be of the record's cluster. */
export function readEndpoint(clusterId: number, record: HashedRecord): EndpointFacts {
  const { address, identity, ports, node, podUid, audited } = Endpoint.decode(record.value);
  requireOf(clusterId, identity);
  return { address: addressFromBytes(address), identity: identity as IdentityNumber, ports, node, podUid, audited };
}

const PARSERS: Readonly<Record<string, (object: unknown, options: ParseOptions) => ParsedPolicy>> = {
  networkpolicies: parseNetworkPolicy,
  ciliumnetworkpolicies: parseCiliumNetworkPolicy,
  ciliumclusterwidenetworkpolicies: parseCiliumClusterwideNetworkPolicy,
};

/**
 * The apiserver has accepted it by the same rules and with what is in the record, so a finding is that of another version. `cluster`:
 * name of the local one.
 */
export function readPolicy({ key, value }: HashedRecord, cluster: string): Policy {
  const parse = PARSERS[key.split("/")[1] ?? ""];
  if (parse === undefined)
    throw new MeshError({ code: "POLICY_RECORD", key }, `Cannot enforce policies like "${printable(key, 60)}"`);
  const { object, cidrGroups, meshScope, services } = PolicyRecord.decode(value);
  const parsed = parse(JSON.parse(object.toString()), {
    cluster,
    cidrGroups: new Map(cidrGroups.map(({ name, cidrs }) => [name, cidrs])),
    services,
    ...(meshScope ? { defaultScope: "mesh" } : {}),
  });
  if (parsed.ok) return parsed.policy;
  const reasons = parsed.findings.map(({ sentence }) => sentence).join("; ");
  throw new MeshError(
    { code: "POLICY_RECORD", key },
    `Cannot enforce policy "${printable(key)}": ${printable(reasons)}`,
  );
}

function requireOf(clusterId: number, number: number): void {
  if (!isIdentityOf(number, clusterId as ClusterId)) throw refusal(number, `it is not of cluster ${clusterId}`);
}

/** The sentence about an identity that is not taken. */
export function refusal(number: number, reason: string): MeshError {
  return new MeshError({ code: "IDENTITY_RECORD", number }, `Cannot use identity ${number}: ${reason}`);
}

/** What follows the kind in a record's key. */
export function afterSlash(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}
