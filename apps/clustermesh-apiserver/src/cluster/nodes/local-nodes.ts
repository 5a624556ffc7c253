/** The Nodes of the local cluster: the platform of each, and since when this process has known it. */
import type { Change } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { NodeFacts, NodePlatform } from "./node-facts.js";

export interface KnownNode {
  readonly platform: NodePlatform;
  /** Monotonic: when this process first read the Node. */
  readonly knownSince: number;
}

export interface LocalNodes extends ReadonlyMap<string, KnownNode> {
  take(change: Pick<Change<NodeFacts>, "deletes" | "sets">): void;
}

export function createLocalNodes(clock: Clock): LocalNodes {
  const nodes = new Map<string, KnownNode>();
  return Object.assign(nodes, {
    take({ deletes, sets }: Pick<Change<NodeFacts>, "deletes" | "sets">) {
      for (const { value } of deletes) nodes.delete(value.name);
      for (const { value } of sets) {
        const knownSince = nodes.get(value.name)?.knownSince ?? clock.now();
        nodes.set(value.name, { platform: value.platform, knownSince });
      }
    },
  });
}
