export * from "./backend-id.js";
export * from "./check.js";
export * from "./gen/index.js";
export * from "./rank.js";
