export * from "./auth.js";
export * from "./errors.js";
export * from "./layout.js";
export * from "./store.js";
export { DEFAULT_DEADLINE_MS, type StoreOptions } from "./transport.js";
export type { WatchNews, WatchOptions } from "./watch.js";
export type { StoreEvent } from "./watch-assembler.js";
