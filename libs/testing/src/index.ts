export * from "./fake-clock.js";
export * from "./makers.js";
export * from "./memory-kernel.js";
export * from "./record-source.js";
export { Killed, type Write, type WriteLog } from "./write-log.js";
