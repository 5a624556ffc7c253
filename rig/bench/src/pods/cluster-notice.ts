/** What the process of cluster.ts says to node.ts. */

/** Each pod's uid in the order of the arguments, when it serves; then, for each message, that no pod has an address. */
export type ClusterNotice = { readonly uids: readonly string[] } | { readonly settled: true };

/** Of the node. */
export const ADDRESS = "172.18.0.1";
