export * from "./error-codes.js";
export * from "./label-filter.js";
export * from "./labels.js";
export * from "./number.js";
export * from "./number-cursor.js";
export * from "./plan-label-set.js";
export * from "./reserved.js";
