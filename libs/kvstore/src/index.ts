export * from "./auth.js";
export * from "./errors.js";
export {
  CONFIG_KEY,
  claimKey,
  clusterPrefix,
  FENCE_KEY,
  HEAD_KEY,
  prefixEnd,
  ROOT_PREFIX,
  STORE_KEY,
} from "./layout.js";
export * from "./store.js";
export { DEFAULT_DEADLINE_MS, type StoreOptions } from "./transport.js";
export type { WatchMessage, WatchOptions } from "./watch.js";
export type { StoreEvent } from "./watch-assembler.js";
