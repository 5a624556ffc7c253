/**
 * The rows of mesh_backends by the node that they refer to, so that a node that changes costs work for its own rows.
 *
 * A row is in at most one list, a doubly linked one in two arrays: there is no object per row (`BackendRows`).
 */
export interface RowsByNode<K> {
  /** The row must be in no list. */
  add(node: K, row: number): void;
  /** The row must be in the list of this node. */
  remove(node: K, row: number): void;
  /** The rows of a node; rows may be removed meanwhile, but none added to this node. */
  rowsOf(node: K): Iterable<number>;
}

/** Rows are 1 to `maxEntries` - 1. */
export function createRowsByNode<K>(maxEntries: number): RowsByNode<K> {
  const heads = new Map<K, number>();
  /** By row; 0 = none. */
  const next = new Int32Array(maxEntries);
  const previous = new Int32Array(maxEntries);
  return {
    add(node, row) {
      const head = heads.get(node) ?? 0;
      next[row] = head;
      previous[row] = 0;
      if (head !== 0) previous[head] = row;
      heads.set(node, row);
    },
    remove(node, row) {
      const [before, after] = [previous[row] ?? 0, next[row] ?? 0];
      if (after !== 0) previous[after] = before;
      if (before !== 0) next[before] = after;
      else if (after !== 0) heads.set(node, after);
      else heads.delete(node);
    },
    *rowsOf(node) {
      for (let row = heads.get(node) ?? 0; row !== 0; ) {
        const after = next[row] ?? 0;
        yield row;
        row = after;
      }
    },
  };
}
