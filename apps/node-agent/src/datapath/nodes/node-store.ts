/**
 * The rows of mesh_nodes: an index per (cluster, tunnel address, health address), adopted from what the map holds.
 *
 * A row is written body first, then id. The row of a node that was removed, or has another address, is freed: first its
 * backends get another node index, and after a grace period its id and its state word are set to 0, so that the next
 * node with this index inherits no rank.
 */
import { NodeFlag, NodeRow } from "@isthmus/bpf";
import { isMapFull, type StatusTable } from "@isthmus/reconcile";
import { inSlices, type Slices } from "@isthmus/runtime";
import { adoptedNode, type DesiredNode, type NodeName, nodeIdentity, nodeName } from "../../desired/nodes/nodes.js";
import { createRowPool } from "../rows/row-pool.js";
import { type AdoptedRow, adoptNodes, type NodePorts } from "./adopt-nodes.js";

export interface NodeStore {
  /** 0 = not known. An adopted row is also found by its name of `adoptedNode`, for as long as it exists. */
  indexOf(name: NodeName | undefined): number;
  /** The next `write` writes it. Undefined = the node is gone: its row leaves unless another node has it too. */
  set(name: NodeName, node: DesiredNode | undefined): void;
  /** Frees the rows of a cluster that no known node has; called when all its nodes are known. */
  sweep(cluster: number): void;
  /**
   * Writes the rows of nodes that were set, in order; returns the names whose index changed. Failures go to `status`.
   */
  write(now: number): Slices<readonly NodeName[]>;
  /** True when `take` would return an index. */
  readonly garbage: boolean;
  /** Indexes to be freed: no other row may refer to them when `take` is called. */
  readonly leaving: readonly number[];
  /** Returns indexes that can be freed after a grace period that begins now, at most `most`. */
  take(most: number): readonly number[];
  /** After the grace period: sets ids and state words to 0; the indexes may be used again. */
  free(indexes: readonly number[]): void;
  /** The nodes that were set, by name. */
  readonly nodes: ReadonlyMap<NodeName, DesiredNode>;
  /** Rows that are taken, those that wait to be freed included. */
  readonly used: number;
  /** Rows of the map without index 0, those that are reserved included. */
  readonly capacity: number;
}

interface Row extends AdoptedRow {
  readonly users: Set<NodeName>;
}

const NODES_PER_SLICE = 32;

/** Adopts the rows of the map. */
export function* createNodeStore(
  ports: NodePorts,
  status: StatusTable,
  localNode?: () => NodeName | undefined,
  /** Id of the local cluster, for which a part of the rows is reserved. */
  own?: number,
): Slices<NodeStore> {
  const byIdentity = new Map<string, Row>();
  const byName = new Map<NodeName, Row>();
  /** Adopted rows by their placeholder names. */
  const adoptedRows = new Map<NodeName, Row>();
  const nodes = new Map<NodeName, DesiredNode>();
  const dirty = new Set<NodeName>();
  const adopted = yield* adoptNodes(ports);
  const pool = yield* createRowPool(ports.nodes, new Set(adopted.map(({ index }) => index)), own);
  const leaving: Row[] = [];
  yield* inSlices(adopted, NODES_PER_SLICE, adopt);

  /** Of two rows with one identity only the first is used. */
  function adopt(found: AdoptedRow): void {
    const row: Row = { ...found, users: new Set() };
    if (byIdentity.has(row.identity)) return void leaving.push(row);
    byIdentity.set(row.identity, row);
    adoptedRows.set(nodeName(row.cluster, adoptedNode(row.index)), row);
  }

  function insert(node: DesiredNode, identity: string): Row {
    const index = pool.take(node.cluster);
    const flags = node.name === localNode?.() ? NodeFlag.Local : 0;
    const { cluster, tunnel, health } = node;
    const bytes = NodeRow.encode({ id: 0, cluster, zone: 0, key: 0, tunnel, health, flags, rttUs: 0 });
    ports.nodes.writeBody(index, bytes.subarray(NodeRow.offsets.cluster), NodeRow.offsets.cluster);
    ports.nodes.storeWord32(index, NodeRow.offsets.id, index);
    const row: Row = { identity, index, cluster, users: new Set() };
    byIdentity.set(identity, row);
    return row;
  }

  function leave(row: Row): void {
    byIdentity.delete(row.identity);
    adoptedRows.delete(nodeName(row.cluster, adoptedNode(row.index)));
    leaving.push(row);
  }

  function updateRow(name: NodeName): boolean {
    const node = nodes.get(name);
    const before = byName.get(name);
    const identity = node === undefined ? undefined : nodeIdentity(node.cluster, node.tunnel, node.health);
    if (before?.identity === identity) return false;
    if (node !== undefined && identity !== undefined) {
      const row = byIdentity.get(identity) ?? insert(node, identity);
      row.users.add(name);
      byName.set(name, row);
    } else byName.delete(name);
    before?.users.delete(name);
    if (before?.users.size === 0) leave(before);
    return true;
  }

  return {
    nodes,
    indexOf: (name) => (name === undefined ? 0 : ((byName.get(name) ?? adoptedRows.get(name))?.index ?? 0)),
    set(name, node) {
      if (node === undefined) nodes.delete(name);
      else nodes.set(name, node);
      dirty.add(name);
    },
    sweep(cluster) {
      for (const row of byIdentity.values()) if (row.cluster === cluster && row.users.size === 0) leave(row);
    },
    *write(now) {
      const moved: NodeName[] = [];
      yield* inSlices(dirty, NODES_PER_SLICE, (name) => {
        try {
          if (updateRow(name)) moved.push(name);
          if (nodes.has(name)) status.done(`node ${name}`, now);
          else status.forget(`node ${name}`);
        } catch (thrown) {
          if (!(thrown instanceof Error) || !isMapFull(thrown)) throw thrown;
          status.failed(`node ${name}`, thrown, now);
        }
      });
      dirty.clear();
      return moved;
    },
    get garbage() {
      return leaving.length > 0;
    },
    get leaving() {
      return leaving.map((row) => row.index);
    },
    take: (most) => leaving.splice(0, most).map((row) => row.index),
    free(indexes) {
      for (const index of indexes) {
        ports.nodes.storeWord32(index, NodeRow.offsets.id, 0);
        ports.nodeState.storeWord32(index, 0, 0);
        pool.give(index);
      }
    },
    get used() {
      return pool.used;
    },
    capacity: pool.capacity,
  };
}
