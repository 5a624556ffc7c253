/**
 * The content of a node's row in mesh_nodes, without its node-local index.
 *
 * A row belongs to (cluster, tunnel address, health address): a node that changes one of them gets a new row. The tunnel
 * address is the first InternalIP where the record names none.
 */
import { bytesKey } from "@isthmus/model";
import type { Node } from "@isthmus/proto";

/** `<cluster id>/<Kubernetes name>` */
export type NodeName = `${number}/${string}`;

export interface DesiredNode {
  /** With the real id of the cluster, and the Kubernetes name from the record's key. */
  readonly name: NodeName;
  /** Real id of the node's cluster. */
  readonly cluster: number;
  /** 16 bytes, IPv4 as v4-mapped. */
  readonly tunnel: Uint8Array;
  /** 16 bytes, IPv4 as v4-mapped; all 0 = the record names none. */
  readonly health: Uint8Array;
}

/** Interns names: with one string object per name, its hash is computed once for all maps. */
export function nodeName(cluster: number, name: string): NodeName {
  const names = interned.get(cluster) ?? new Map<string, NodeName>();
  interned.set(cluster, names);
  const known = names.get(name);
  if (known !== undefined) return known;
  if (names.size >= MAX_INTERNED) names.clear();
  const fresh: NodeName = `${cluster}/${name}`;
  names.set(name, fresh);
  return fresh;
}

/** The node that a backend's record names; undefined when it names none. */
export function backendNode(cluster: number, node: string): NodeName | undefined {
  return node === "" ? undefined : nodeName(cluster, node);
}

const MAX_INTERNED = 65_536;
const interned = new Map<number, Map<string, NodeName>>();

/**
 * Placeholder name for the node of an adopted row: only its index is known until the cluster's records name the node. A
 * Kubernetes name has no "#".
 */
export function adoptedNode(index: number): string {
  return `#${index}`;
}

/** The identity of a row. */
export function nodeIdentity(cluster: number, tunnel: Uint8Array, health: Uint8Array): string {
  return `${cluster}/${bytesKey(tunnel)}${bytesKey(health)}`;
}

const NONE = new Uint8Array(16);

/** Undefined for a node that has no address yet. `name`: from the record's key. */
export function desiredNode(cluster: number, record: Node, name: string = record.name): DesiredNode | undefined {
  const address = [record.tunnel, ...record.addresses].find((bytes) => bytes.length === 16);
  if (address === undefined) return undefined;
  const health = record.health.length === 16 ? record.health : NONE;
  return { name: nodeName(cluster, name), cluster, tunnel: address, health };
}
