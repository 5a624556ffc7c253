export * from "./error-codes.js";
export * from "./number.js";
export * from "./reserved.js";
