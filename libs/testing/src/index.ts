export * from "@isthmus/runtime/testing";
export * from "./exploring.js";
export * from "./free-port.js";
export * from "./makers.js";
export * from "./memory-kernel.js";
export * from "./record-source.js";
export * from "./until.js";
export { Killed, type Write, type WriteLog } from "./write-log.js";
