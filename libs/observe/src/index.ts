export * from "./breaker.js";
export * from "./command-line.js";
export * from "./error-codes.js";
export * from "./health.js";
export { type HttpListener, splitHostPort } from "./http-listener.js";
export * from "./logger.js";
export * from "./metrics.js";
export { startMetrics } from "./metrics-endpoint.js";
export * from "./run-process.js";
