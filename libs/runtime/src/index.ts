export * from "./backoff.js";
export * from "./emitter.js";
export * from "./pace.js";
export * from "./package-version.js";
export * from "./retry-loop.js";
