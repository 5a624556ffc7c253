/**
 * mesh_nodes and mesh_node_state as a part of the datapath: rows of nodes, to which rows of backends refer by index.
 *
 * Rows of backends follow in the same apply: those of nodes whose index changed, and those of nodes that leave, whose
 * rows are freed a grace period later.
 */
import { createStatusTable } from "@isthmus/reconcile";
import { inTurns, type Slices } from "@isthmus/runtime";
import { checked, type Part } from "../../apply/part.js";
import type { DesiredNode, NodeName } from "../../desired/nodes/nodes.js";
import type { NodePorts } from "./adopt-nodes.js";
import { createNodeStore } from "./node-store.js";

export interface NodesModules {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Name of this node, once known. */
  readonly localNode?: (() => NodeName | undefined) | undefined;
  /** Id of the local cluster: rows are reserved for its nodes. */
  readonly localCluster?: number | undefined;
}

/** What rows of other maps need to know of rows of nodes. */
export interface NodeRows {
  /** 0 = not known. */
  indexOf(name: NodeName | undefined): number;
  /** Nodes whose index changed in this apply. */
  readonly moved: readonly NodeName[];
  /** Indexes of rows that are to be freed: no row may refer to them when the apply ends. */
  readonly leaving: readonly number[];
}

/** What changed of the desired nodes. */
export interface NodeRowChanges {
  /** Undefined: the node has no row any more. */
  readonly nodes?: Iterable<readonly [NodeName, DesiredNode | undefined]>;
  /** Clusters of which the next apply frees the rows of nodes that were not set. */
  readonly sweepNodes?: Iterable<number>;
}

export type NodesPart = Part<NodeRowChanges> & NodeRows;

const STATUS_PREFIX = "node ";

/** Adopts the rows of the maps. */
export function* createNodesPart(ports: NodePorts, modules: NodesModules): Slices<NodesPart> {
  const { now } = modules;
  const status = createStatusTable();
  const store = yield* createNodeStore(ports, status, modules.localNode, modules.localCluster);
  const sweeps = new Set<number>();
  let moved: readonly NodeName[] = [];
  return {
    status,
    indexOf: store.indexOf,
    get moved() {
      return moved;
    },
    get leaving() {
      return store.leaving;
    },
    touch({ nodes = [], sweepNodes = [] }) {
      for (const [name, node] of nodes) store.set(name, node);
      for (const cluster of sweepNodes) sweeps.add(cluster);
    },
    async plan() {
      for (const key of status.due(now())) {
        const name = key.slice(STATUS_PREFIX.length) as NodeName;
        store.set(name, store.nodes.get(name));
      }
      return false;
    },
    async make(check) {
      moved = await inTurns(checked(store.write(now()), check));
      for (const cluster of sweeps) store.sweep(cluster);
      sweeps.clear();
    },
    takeGarbage(most) {
      if (!store.garbage) return undefined;
      const indexes = store.take(most);
      return { free: () => store.free(indexes) };
    },
    fill: () => [{ map: ports.nodes.name, used: store.used, capacity: store.capacity }],
  };
}
