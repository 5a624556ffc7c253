export * from "./address.js";
export * from "./bounds.js";
export * from "./bytes.js";
export * from "./clock.js";
export * from "./cluster.js";
export * from "./errors.js";
export * from "./prefix.js";
export * from "./protocol.js";
