/**
 * The node of each row of mesh_backends: the name that records give it, and in the row the index that its own row has.
 */
import { backendNode, type NodeName } from "../../desired/nodes/nodes.js";
import { type BackendRows, clusterOf, Word } from "./backend-rows.js";
import type { BackendUses } from "./backend-uses.js";

/** Turns a node's name into its index; 0 = not known. */
export type NodeIndexOf = (name: NodeName | undefined) => number;

export interface BackendNodes {
  /** Sets the node of a row by its short name, "" = not known. */
  set(row: number, node: string): void;
  /** The row is adopted or freed: no record names its node. */
  forget(row: number): void;
  /** Sets the new index of these nodes in the rows of their backends. Reads all rows: indexes change seldom. */
  update(names: readonly NodeName[]): void;
  /** Sets the node to 0 (not known) in rows that still have one of these indexes: no record has named the node yet. */
  clear(indexes: ReadonlySet<number>): void;
}

export interface BackendNodesModules {
  readonly rows: BackendRows;
  readonly uses: BackendUses;
  readonly indexOf: NodeIndexOf;
  /** Sets a word of a row, and has it written if the row is in the map. */
  readonly setWord: (row: number, word: number, value: number) => void;
}

export function createBackendNodes({ rows, uses, indexOf, setWord }: BackendNodesModules): BackendNodes {
  /** By row: the node's short name, "" = not known; null: no record has named it yet. */
  const nodes: (string | null)[] = [null];

  const nameOf = (row: number): NodeName | undefined =>
    backendNode(clusterOf(rows.get(row, Word.cluster)), nodes[row] ?? "");

  return {
    set(row, node) {
      if (nodes[row] === node) return;
      nodes[row] = node;
      setWord(row, Word.node, indexOf(nameOf(row)));
    },
    forget(row) {
      nodes[row] = null;
    },
    update(names) {
      if (names.length === 0) return;
      const moved = new Set<NodeName | undefined>(names);
      for (let row = 1; row < uses.end; row++) {
        const node = nodes[row];
        if (!uses.isUsable(row) || node === null || node === undefined) continue;
        const name = nameOf(row);
        if (moved.has(name)) setWord(row, Word.node, indexOf(name));
      }
    },
    clear(indexes) {
      for (let row = 1; row < uses.end; row++) {
        if (uses.isUsable(row) && indexes.has(rows.get(row, Word.node))) setWord(row, Word.node, 0);
      }
    },
  };
}
