export * from "./apply-hash.js";
export * from "./delta-tracker.js";
export * from "./map-full.js";
export * from "./ports.js";
export * from "./read-chunks.js";
export * from "./status.js";
