/**
 * The rows of mesh_nodes: an index per (cluster, tunnel address, health address), adopted from what the map holds.
 *
 * A row is written body first, then id. The row of a node that was removed, or has another address, is freed: first its
 * backends get another node index, and after a grace period its id and its state word are set to 0, so that the next
 * node with this index inherits no rank.
 */
import { NodeFlag, NodeRow, StateWord } from "@isthmus/bpf";
import { type ArrayPort, readChunks, type StatusTable } from "@isthmus/reconcile";
import { adoptedNode, type DesiredNode, type NodeName, nodeIdentity, nodeName } from "../../desired/nodes/nodes.js";
import { mapFull, mapShareFull } from "../rows/full.js";
import { createIndexPool, type IndexPool } from "../rows/index-pool.js";
import { reservedRows } from "../services/narrow.js";

export interface NodeStore {
  /** 0 = not known. An adopted row is also found by its name of `adoptedNode`, for as long as it exists. */
  indexOf(name: NodeName | undefined): number;
  set(name: NodeName, node: DesiredNode | undefined): void;
  /** Frees the rows of a cluster that no known node has; called when all its nodes are known. */
  sweep(cluster: number): void;
  /**
   * Writes the rows of nodes that were set, in order; returns the names whose index changed. Failures go to `status`.
   */
  write(now: number): readonly NodeName[];
  readonly garbage: boolean;
  /** Indexes to be freed: no other row may refer to them when `take` is called. */
  readonly leaving: readonly number[];
  /** Returns the indexes that can be freed after a grace period that begins now. */
  take(): readonly number[];
  free(indexes: readonly number[]): void;
  /** The nodes that were set, by name. */
  readonly nodes: ReadonlyMap<NodeName, DesiredNode>;
  readonly used: number;
  readonly capacity: number;
}

export interface NodePorts {
  readonly nodes: ArrayPort;
  readonly nodeState: ArrayPort;
}

interface Row {
  readonly identity: string;
  readonly index: number;
  readonly cluster: number;
  readonly users: Set<NodeName>;
}

export function createNodeStore(
  ports: NodePorts,
  status: StatusTable,
  localNode?: () => NodeName | undefined,
  /** Id of the local cluster, for which a part of the rows is reserved. */
  own?: number,
): NodeStore {
  const byIdentity = new Map<string, Row>();
  const byName = new Map<NodeName, Row>();
  /** Adopted rows by their placeholder names. */
  const adoptedRows = new Map<NodeName, Row>();
  const nodes = new Map<NodeName, DesiredNode>();
  const dirty = new Set<NodeName>();
  const shared = ports.nodes.maxEntries - reservedRows(ports.nodes.maxEntries);
  let leaving: Row[] = [];
  const duplicates: Row[] = [];
  const pool = load();
  leaving.push(...duplicates);

  function load(): IndexPool {
    const taken = new Set<number>();
    for (const { first, count, bytes, view } of readChunks(ports.nodes)) {
      for (let i = 0; i < count; i++) {
        const index = first + i;
        if (index === 0 || view.getUint32(i * NodeRow.size + NodeRow.offsets.id, true) !== index) continue;
        const { cluster, tunnel, health } = NodeRow.decode(bytes, i * NodeRow.size);
        const row: Row = { identity: nodeIdentity(cluster, tunnel, health), index, cluster, users: new Set() };
        if (byIdentity.has(row.identity)) duplicates.push(row);
        else {
          byIdentity.set(row.identity, row);
          adoptedRows.set(nodeName(cluster, adoptedNode(index)), row);
        }
        taken.add(index);
      }
    }
    clearStaleRanks(taken);
    return createIndexPool(ports.nodes.maxEntries, taken);
  }

  /** Clears ranks of indexes without a node, left by an agent that died between the two stores. Other ranks stay. */
  function clearStaleRanks(taken: ReadonlySet<number>): void {
    const words = ports.nodeState.read(0, ports.nodeState.maxEntries);
    const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
    for (let index = 1; index < ports.nodeState.maxEntries; index++) {
      if (!taken.has(index) && view.getUint32(StateWord.size * index, true) !== 0)
        ports.nodeState.storeWord32(index, 0, 0);
    }
  }

  function insert(node: DesiredNode, identity: string): Row {
    const { name, maxEntries } = ports.nodes;
    const bounded = own !== undefined && node.cluster !== own && pool.used >= shared;
    const index = bounded ? undefined : pool.take();
    if (index === undefined) throw bounded ? mapShareFull(name, shared) : mapFull(name, maxEntries);
    const flags = node.name === localNode?.() ? NodeFlag.Local : 0;
    const { cluster, tunnel, health } = node;
    const bytes = NodeRow.encode({ id: 0, cluster, zone: 0, key: 0, tunnel, health, flags });
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
    write(now) {
      const moved: NodeName[] = [];
      for (const name of dirty) {
        try {
          if (updateRow(name)) moved.push(name);
          if (nodes.has(name)) status.done(`node ${name}`, now);
          else status.forget(`node ${name}`);
        } catch (thrown) {
          if (!(thrown instanceof Error) || !("code" in thrown) || thrown.code !== "MAP_FULL") throw thrown;
          status.failed(`node ${name}`, thrown, now);
        }
      }
      dirty.clear();
      return moved;
    },
    get garbage() {
      return leaving.length > 0;
    },
    get leaving() {
      return leaving.map((row) => row.index);
    },
    take() {
      const indexes = leaving.map((row) => row.index);
      leaving = [];
      return indexes;
    },
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
    capacity: ports.nodes.maxEntries - 1,
  };
}
