/**
 * The node of each row of mesh_backends: the name that records give it, and in the row the index that its own row has.
 *
 * Rows may be freed between two slices of its work: a row is changed only if it is still the node's.
 */
import { inSlices, type Slices } from "@isthmus/runtime";
import { backendNode, type NodeName } from "../../desired/nodes/nodes.js";
import { type BackendRows, clusterOf, Word } from "./backend-rows.js";
import { createRowsByNode } from "./rows-by-node.js";

/** Turns a node's name into its index; 0 = not known. */
export type NodeIndexOf = (name: NodeName | undefined) => number;

export interface BackendNodes {
  /** The row is adopted: its node has an index, and no record names it yet. */
  adopt(row: number): void;
  /** Sets the node of a row by its short name, "" = not known. */
  set(row: number, node: string): void;
  /** The row is freed, perhaps between two slices of `update` or `clear`. */
  forget(row: number): void;
  /** Sets the new index of these nodes in the rows of their backends. */
  update(names: readonly NodeName[]): Slices<void>;
  /** Sets the node to 0 (not known) in rows that still have one of these indexes: no record has named the node yet. */
  clear(indexes: readonly number[]): Slices<void>;
}

export interface BackendNodesModules {
  /** The agent's copy of mesh_backends, of which the words `node` and `cluster` are read. */
  readonly rows: BackendRows;
  /** Rows of mesh_backends, index 0 included. */
  readonly maxEntries: number;
  /** Called when a row gets a node, and for the rows of each node in `update`. */
  readonly indexOf: NodeIndexOf;
  /** Sets a word of a row, and has it written if the row is in the map. */
  readonly setWord: (row: number, word: number, value: number) => void;
}

const ROWS_PER_SLICE = 256;

/** Knows no row before `adopt` or `set` names it. */
export function createBackendNodes({ rows, maxEntries, indexOf, setWord }: BackendNodesModules): BackendNodes {
  /** By row: the node's short name, "" = not known; null: no record has named it yet. */
  const nodes: (string | null)[] = [null];
  /** Rows in use whose node has a name, and those in which its index is not 0. */
  const byName = createRowsByNode<NodeName>(maxEntries);
  const byIndex = createRowsByNode<number>(maxEntries);

  const nameOf = (row: number): NodeName | undefined =>
    backendNode(clusterOf(rows.get(row, Word.cluster)), nodes[row] ?? "");

  function setName(row: number, node: string | null): void {
    const before = nameOf(row);
    if (before !== undefined) byName.remove(before, row);
    nodes[row] = node;
    const name = nameOf(row);
    if (name !== undefined) byName.add(name, row);
  }

  function setIndex(row: number, index: number): void {
    const before = rows.get(row, Word.node);
    if (before === index) return;
    if (before !== 0) byIndex.remove(before, row);
    if (index !== 0) byIndex.add(index, row);
    setWord(row, Word.node, index);
  }

  return {
    adopt(row) {
      nodes[row] = null;
      const index = rows.get(row, Word.node);
      if (index !== 0) byIndex.add(index, row);
    },
    set(row, node) {
      if (nodes[row] === node) return;
      setName(row, node);
      setIndex(row, indexOf(nameOf(row)));
    },
    forget(row) {
      setName(row, null);
      const index = rows.get(row, Word.node);
      if (index === 0) return;
      byIndex.remove(index, row);
      rows.set(row, Word.node, 0);
    },
    *update(names) {
      for (const name of names) {
        yield* inSlices([...byName.rowsOf(name)], ROWS_PER_SLICE, (row) => {
          if (nameOf(row) === name) setIndex(row, indexOf(name));
        });
        yield;
      }
    },
    *clear(indexes) {
      for (const index of indexes) {
        yield* inSlices([...byIndex.rowsOf(index)], ROWS_PER_SLICE, (row) => {
          if (rows.get(row, Word.node) === index) setIndex(row, 0);
        });
        yield;
      }
    },
  };
}
