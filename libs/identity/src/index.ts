export * from "./number.js";
export * from "./reserved.js";
