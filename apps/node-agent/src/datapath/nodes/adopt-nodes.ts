/** Reads mesh_nodes at the start, and clears the ranks that a dead agent left at indexes without a node. */
import { NodeRow, StateWord } from "@isthmus/bpf";
import { type ArrayPort, readChunks } from "@isthmus/reconcile";
import type { Slices } from "@isthmus/runtime";
import { nodeIdentity } from "../../desired/nodes/nodes.js";

export interface NodePorts {
  /** `struct node` by node index. */
  readonly nodes: ArrayPort;
  /** The rank word of 32 bits by node index. */
  readonly nodeState: ArrayPort;
}

export interface AdoptedRow {
  /** As `nodeIdentity` makes it of the row. */
  readonly identity: string;
  /** In mesh_nodes, from 1. */
  readonly index: number;
  /** Real id of the node's cluster. */
  readonly cluster: number;
}

const ROWS_PER_SLICE = 256;

/** The rows in use, in the order of their indexes; two may have one identity. */
export function* adoptNodes(ports: NodePorts): Slices<readonly AdoptedRow[]> {
  const rows: AdoptedRow[] = [];
  for (const { first, count, bytes, view } of readChunks(ports.nodes, ROWS_PER_SLICE)) {
    for (let i = 0; i < count; i++) {
      const index = first + i;
      if (index === 0 || view.getUint32(i * NodeRow.size + NodeRow.offsets.id, true) !== index) continue;
      const { cluster, tunnel, health } = NodeRow.decode(bytes, i * NodeRow.size);
      rows.push({ identity: nodeIdentity(cluster, tunnel, health), index, cluster });
    }
    yield;
  }
  yield* clearStaleRanks(ports.nodeState, new Set(rows.map(({ index }) => index)));
  return rows;
}

/** Clears ranks of indexes without a node, left by an agent that died between the two stores. Other ranks stay. */
function* clearStaleRanks(nodeState: ArrayPort, taken: ReadonlySet<number>): Slices<void> {
  for (const { first, count, view } of readChunks(nodeState)) {
    for (let i = first === 0 ? 1 : 0; i < count; i++) {
      if (view.getUint32(StateWord.size * i, true) !== 0 && !taken.has(first + i))
        nodeState.storeWord32(first + i, 0, 0);
    }
    yield;
  }
}
