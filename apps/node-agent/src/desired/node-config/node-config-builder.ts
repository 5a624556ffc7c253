/** Takes this node's configuration from the NodeConfig records of the local cluster. */
import { Kind, NodeConfig } from "@isthmus/proto";
import { nodeConfigKey } from "@isthmus/records";
import type { Builder } from "../records/builder.js";

export interface NodeConfigChanges {
  /** The configuration, if it changed since the last flush. */
  readonly nodeConfig: NodeConfig | undefined;
}

export interface NodeConfigOptions {
  /** Kubernetes name of this node. */
  readonly node: string;
  /** Real id of the local cluster. */
  readonly clusterId: number;
}

export interface NodeConfigBuilder extends Builder {
  /** Returns what changed since the last call, and forgets it. */
  flush(): NodeConfigChanges;
}

/** `changed` is called for each record of this node. A record that was removed stays in force. */
export function createNodeConfigBuilder(
  options: NodeConfigOptions,
  changed: (config: NodeConfig) => void,
): NodeConfigBuilder {
  let nodeConfig: NodeConfig | undefined;
  return {
    kinds: [Kind.KIND_NODE_CONFIG],
    upsert(clusterId, { key, value }) {
      const config = NodeConfig.decode(value);
      if (clusterId !== options.clusterId || key !== nodeConfigKey(options.node)) return;
      nodeConfig = config;
      changed(config);
    },
    remove: () => undefined,
    flush() {
      const changes = { nodeConfig };
      nodeConfig = undefined;
      return changes;
    },
  };
}
