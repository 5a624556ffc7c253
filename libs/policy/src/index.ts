export * from "./model/address-block.js";
export * from "./model/labels.js";
export * from "./model/policy.js";
export * from "./model/selector.js";
