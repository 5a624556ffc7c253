export * from "./backoff.js";
export * from "./deferred.js";
export * from "./emitter.js";
export * from "./pace.js";
export * from "./retry-loop.js";
export * from "./turns.js";
export * from "./version.js";
export * from "./wait-for.js";
