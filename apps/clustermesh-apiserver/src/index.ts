export { sliceFacts } from "./cluster/endpoints/slice-facts.js";
export type * from "./cluster/local-exports.js";
export { createLocalRecords, type LocalRecords } from "./cluster/local-records.js";
export { nodeFacts } from "./cluster/nodes/node-facts.js";
export { serviceFacts } from "./cluster/services/service-facts.js";
export { createSyntheticCluster, type SyntheticCluster, type SyntheticClusterOptions } from "./measure.js";
export type * from "./ports/stream-source.js";
export type { PeerSpec } from "./remote/peer.js";
