export * from "./plan.js";
export { fillSlots } from "./slots.js";
export * from "./types.js";
