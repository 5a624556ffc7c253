export { createLastGood } from "./cluster/feed/last-good.js";
export { createFeeds } from "./cluster/feeds.js";
export { createLocalRecords } from "./cluster/local-records.js";
export { createSyntheticCluster, type SyntheticCluster, type SyntheticClusterOptions } from "./measure.js";
export type { PeerSpec } from "./remote/peer.js";
