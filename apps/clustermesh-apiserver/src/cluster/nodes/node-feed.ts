/** Nodes: a NODE record for agents and other clusters, and a NODE_CONFIG record for the agent of the node itself. */
import { NODES } from "@isthmus/kube";
import type { Clock, Prefix } from "@isthmus/model";
import { createEmitter } from "@isthmus/runtime";
import type { Feed } from "../feed/feed.js";
import { createRecordDiff } from "../feed/record-diff.js";
import { type NodeFacts, type NodePlatform, nodeFacts } from "./node-facts.js";
import { exportedNode, nodeConfigRecord, nodeRecord } from "./node-records.js";

export interface KnownNode {
  /** Decides whether an agent is expected on the node: on "linux" only. */
  readonly platform: NodePlatform;
  /** Monotonic: when this process first read the Node. */
  readonly knownSince: number;
}

export interface NodeFeed extends Feed<NodeFacts> {
  /** By name. */
  readonly known: ReadonlyMap<string, KnownNode>;
  /** Of the Node with this name; undefined: there is none, or it was not read yet. */
  factsOf(name: string): NodeFacts | undefined;
  /** Calls `listener` with the names of Nodes that were added, changed or deleted; returns what ends that. */
  onChange(listener: (names: readonly string[]) => void): () => void;
}

/** `initial`: this cluster's pod ranges; undefined: not known yet. */
export function createNodeFeed(clock: Pick<Clock, "now">, initial: readonly Prefix[] | undefined): NodeFeed {
  const nodes = new Map<string, { readonly facts: NodeFacts } & KnownNode>();
  const local = createRecordDiff();
  const exported = createRecordDiff();
  const changes = createEmitter<readonly string[]>();
  let serviceCidrs: readonly Prefix[] = [];
  let podCidrs = initial;

  function setRecords(facts: NodeFacts): void {
    const [node, claimable] = [nodeRecord(facts), exportedNode(facts, podCidrs)];
    local.set(facts.name, [node, nodeConfigRecord(facts, serviceCidrs)]);
    exported.set(facts.name, [claimable === facts ? node : nodeRecord(claimable)]);
  }

  return {
    resource: NODES,
    versionType: "nodes",
    facts: nodeFacts,
    known: nodes,
    factsOf: (name) => nodes.get(name)?.facts,
    onChange: changes.subscribe,
    take({ deletes, sets }) {
      for (const { value } of deletes) {
        nodes.delete(value.name);
        local.set(value.name, []);
        exported.set(value.name, []);
      }
      for (const { value } of sets) {
        const knownSince = nodes.get(value.name)?.knownSince ?? clock.now();
        nodes.set(value.name, { facts: value, platform: value.platform, knownSince });
        setRecords(value);
      }
      changes.emit([...deletes, ...sets].map(({ value }) => value.name));
    },
    records: {
      configure(settings) {
        if (settings.podCidrs === undefined && settings.serviceCidrs === undefined) return;
        podCidrs = settings.podCidrs ?? podCidrs;
        serviceCidrs = settings.serviceCidrs ?? serviceCidrs;
        for (const { facts } of nodes.values()) setRecords(facts);
      },
      takeChanges: () => ({ local: local.take(), exported: exported.take(), notes: [] }),
    },
  };
}
