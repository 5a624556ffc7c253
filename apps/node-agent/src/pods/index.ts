export { startPods } from "./start-pods.js";
export type * from "./types.js";
