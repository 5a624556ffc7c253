/** For benchmarks: a real Kubernetes API with the settings of a cluster, and the apiserver as a process. */
export { type ApiserverProcess, spawnApiserver } from "./apiserver-process.js";
export { installSettings } from "./run-apiserver.js";
export { startBareCluster } from "./test-cluster.js";
