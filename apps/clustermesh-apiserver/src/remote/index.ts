export { BUDGET_FLAGS, type Budget, DEFAULT_BUDGET } from "./budget.js";
export { type LocalCluster, limitsOf, type PeerSpec, refusalOf } from "./peer.js";
export type { RemoteSource } from "./remote-source.js";
export { createRemoteSources, type RemoteSources, type RemoteSourcesModules } from "./remote-sources.js";
