/** Builds the desired rows of mesh_nodes from the Node records of all clusters. */
import { Kind, Node } from "@isthmus/proto";
import { inSlices } from "@isthmus/runtime";
import type { Builder } from "../records/builder.js";
import { type DesiredNode, desiredNode, type NodeName, nodeName } from "./nodes.js";

/** What changed since the last flush. */
export interface NodeChanges {
  /** Undefined: the node was removed, or has no address yet. */
  readonly nodes: ReadonlyMap<NodeName, DesiredNode | undefined>;
  /** Clusters whose nodes are all known: rows of others can be freed. */
  readonly sweepNodes: readonly number[];
  /** Routes may have changed: node records changed, or a cluster is in sync for the first time or was removed. */
  readonly routes: boolean;
}

export interface NodeBuilder extends Builder {
  /** Nodes of every cluster by record. */
  readonly records: ReadonlyMap<NodeName, Node>;
  /** Returns what changed since the last call, and forgets it; the caller may keep the collections. */
  flush(): NodeChanges;
}

const NODES_PER_SLICE = 64;

/** `changed` is called for each record; undefined = removed. */
export function createNodeBuilder(changed: (name: NodeName, record: Node | undefined) => void): NodeBuilder {
  const records = new Map<NodeName, Node>();
  let nodes = new Map<NodeName, DesiredNode | undefined>();
  let sweepNodes: number[] = [];
  let routes = false;

  function set(name: NodeName, record: Node | undefined, desired: DesiredNode | undefined): void {
    if (record === undefined) records.delete(name);
    else records.set(name, record);
    changed(name, record);
    nodes.set(name, desired);
    routes = true;
  }

  return {
    kinds: [Kind.KIND_NODE],
    records,
    upsert(clusterId, { key, value }) {
      const record = Node.decode(value);
      const short = shortName(key);
      set(nodeName(clusterId, short), record, desiredNode(clusterId, record, short));
    },
    remove: (clusterId, { key }) => set(nodeName(clusterId, shortName(key)), undefined, undefined),
    beginSync(clusterId) {
      sweepNodes.push(clusterId);
      routes = true;
    },
    *removeCluster(clusterId) {
      const names = [...records.keys()].filter((name) => name.startsWith(`${clusterId}/`));
      yield* inSlices(names, NODES_PER_SLICE, (name) => set(name, undefined, undefined));
      sweepNodes.push(clusterId);
      routes = true;
    },
    flush() {
      const changes = { nodes, sweepNodes, routes };
      nodes = new Map();
      sweepNodes = [];
      routes = false;
      return changes;
    },
  };
}

/** The Kubernetes name in a record's key. */
function shortName(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}
