export * from "./address-words.js";
export * from "./affinity-tiers.js";
export * from "./backend-hash.js";
export * from "./cluster-state.js";
export * from "./merge-service.js";
export * from "./service-key.js";
export * from "./service-merger.js";
export * from "./types.js";
export { compareBackends } from "./unique-backends.js";
