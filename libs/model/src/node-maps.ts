/** The maps of a node that `mesh bpf` can show, as their users name them. */

/** Noun of each map, in the order of the help. */
export const NODE_MAPS = [
  "services",
  "frontends",
  "backends",
  "tables",
  "service-ranges",
  "nodes",
  "node-state",
  "cluster-state",
  "floors",
  "endpoints",
  "endpoint-index",
  "pod-ranges",
  "ipcache",
  "ipcache-prefixes",
  "policy-sets",
  "policy-peers",
  "policy-ports",
] as const;

export type NodeMap = (typeof NODE_MAPS)[number];

/** The flows, which have a command of their own. */
export const FLOW_MAP = "conntrack";

/** Most rows of one answer. */
export const MAX_MAP_ROWS = 100_000;

/** Whether a text is the noun of a map. */
export function isNodeMap(text: string): text is NodeMap {
  return NODE_MAPS.some((map) => map === text);
}
