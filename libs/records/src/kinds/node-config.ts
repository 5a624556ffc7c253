import { Kind, NodeConfig } from "@isthmus/proto";
import { prefixText, sorted } from "../canonical.js";
import { defineKind } from "./record-kind.js";

/** Both lists of ranges are sorted by address and length. */
export const NODE_CONFIG_KIND = defineKind({
  kind: Kind.KIND_NODE_CONFIG,
  segment: "node-configs",
  names: ["node"],
  exported: false,
  meaning: "The configuration of one node, sent to that node alone",
  parse: (node) => ({ kind: Kind.KIND_NODE_CONFIG, node }),
  message: NodeConfig,
  canonical: (config: NodeConfig) => ({
    ...config,
    podCidrs: sorted(config.podCidrs, prefixText),
    serviceCidrs: sorted(config.serviceCidrs, prefixText),
  }),
});

/** Of what a node's agent needs to know of its own node; never in the store. */
export const nodeConfigKey = (node: string): string => `${NODE_CONFIG_KIND.segment}/${node}`;
