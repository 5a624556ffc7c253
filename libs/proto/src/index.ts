/** Records and services of `proto/mesh/v1`, generated; nothing here is written by hand. */
export * from "./gen/mesh/v1/admin.js";
export * from "./gen/mesh/v1/state.js";
export * from "./gen/mesh/v1/sync.js";
