export * from "./backoff.js";
export * from "./breaker.js";
export * from "./command-line.js";
export * from "./health.js";
export * from "./logger.js";
export * from "./metrics.js";
export * from "./pace.js";
export * from "./run-process.js";
