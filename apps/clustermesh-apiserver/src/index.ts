export type * from "./cluster/local-exports.js";
export { createLocalRecords, type LocalRecords } from "./cluster/local-records.js";
export { nodeFacts } from "./cluster/node-facts.js";
export { serviceFacts } from "./cluster/service-facts.js";
export { sliceFacts } from "./cluster/slice-facts.js";
export { createSyntheticCluster, type SyntheticCluster, type SyntheticClusterOptions } from "./measure.js";
export type { PeerSpec } from "./remote/peer.js";
export type * from "./serve/stream-source.js";
