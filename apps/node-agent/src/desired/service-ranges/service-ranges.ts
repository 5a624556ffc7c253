/**
 * The ranges in which an address without a Service may be refused: the cluster's Service ranges, without those in which nodes
 * or pods have addresses as well.
 *
 * Such an overlap works in a cluster until two addresses are equal, so it must keep working: the range is not refused.
 * Work is proportional to what changed: one node against the ranges, or the ranges against all nodes.
 */
import { addressFromBytes, formatPrefix, type Prefix, prefixContains, prefixesOverlap } from "@isthmus/model";
import type { Node } from "@isthmus/proto";
import { inSlices, type Slices } from "@isthmus/runtime";
import type { NodeName } from "../nodes/nodes.js";

/** A prefix as a record has it, not yet validated. */
export interface WirePrefix {
  /** 16 bytes, IPv4 as v4-mapped; of another length it is ignored. */
  readonly address: Uint8Array;
  /** In bits of 128, so 96 more for IPv4; above 128 the prefix is ignored. */
  readonly length: number;
}

export interface ServiceRanges {
  /** Takes the cluster's Service ranges from its NodeConfig; invalid prefixes are left out. `compare` must follow. */
  setRanges(ranges: readonly WirePrefix[]): void;
  /** Compares new ranges with all nodes; until it ended `exclusive` and `shared` do not know of them. */
  compare(): Slices<void>;
  /** Compares the node with the ranges at once; undefined = the node is gone. */
  setNode(name: NodeName, node: Node | undefined): void;
  /** Ranges without addresses of nodes or pods, in order. */
  readonly exclusive: readonly Prefix[];
  /** Range as text -> one of the nodes with addresses in it. */
  readonly shared: ReadonlyMap<string, NodeName>;
}

const NODES_PER_SLICE = 64;

/** Knows no nodes, and no ranges, so that both lists are empty. */
export function createServiceRanges(): ServiceRanges {
  const nodes = new Map<NodeName, Node>();
  let ranges: readonly Prefix[] = [];
  /** Range as text -> the nodes with addresses in it. */
  const inside = new Map<string, Set<NodeName>>();
  /** The ranges are not compared with the nodes yet. */
  let isNew = false;

  function compareNode(name: NodeName, node: Node | undefined): void {
    for (const range of ranges) {
      const names = inside.get(formatPrefix(range));
      if (node !== undefined && hasAddressIn(node, range)) names?.add(name);
      else names?.delete(name);
    }
  }

  return {
    setRanges(next) {
      const parsed = parsePrefixes(next);
      if (texts(parsed) === texts(ranges)) return;
      ranges = parsed;
      inside.clear();
      for (const range of ranges) inside.set(formatPrefix(range), new Set());
      isNew = true;
    },
    *compare() {
      if (!isNew) return;
      yield* inSlices(nodes, NODES_PER_SLICE, ([name, node]) => compareNode(name, node));
      isNew = false;
    },
    setNode(name, node) {
      if (node === undefined) nodes.delete(name);
      else nodes.set(name, node);
      compareNode(name, node);
    },
    get exclusive() {
      return ranges.filter((range) => (inside.get(formatPrefix(range))?.size ?? 0) === 0);
    },
    get shared() {
      return new Map([...inside].flatMap(([range, names]) => [...names].slice(0, 1).map((name) => [range, name])));
    },
  };
}

function hasAddressIn({ addresses, podCidrs }: Node, range: Prefix): boolean {
  return (
    addresses.some((address) => address.length === 16 && prefixContains(range, address)) ||
    parsePrefixes(podCidrs).some((cidr) => prefixesOverlap(range, cidr))
  );
}

function parsePrefixes(wire: readonly WirePrefix[]): readonly Prefix[] {
  return wire
    .filter(({ address, length }) => address.length === 16 && length <= 128)
    .map(({ address, length }) => ({ address: addressFromBytes(address), length }));
}

function texts(prefixes: readonly Prefix[]): string {
  return prefixes.map(formatPrefix).join();
}
