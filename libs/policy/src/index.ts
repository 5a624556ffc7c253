export * from "./model/address-block.js";
export * from "./model/labels.js";
export * from "./model/policy.js";
export * from "./model/selector.js";
export type { Finding } from "./parse/findings.js";
export { MAX_ITEMS, MAX_RULES } from "./parse/limits.js";
export { type ParsedPolicy, type ParseOptions, parseNetworkPolicy } from "./parse/network-policy.js";
