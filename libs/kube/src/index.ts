export * from "./client.js";
export * from "./config.js";
export * from "./errors.js";
export * from "./list-watch/list-watch.js";
export type * from "./list-watch/types.js";
export * from "./objects.js";
export * from "./resources.js";
export * from "./reviews.js";
export * from "./transport.js";
