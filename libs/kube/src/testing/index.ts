/** For tests only: a real API server, a scripted one, and a proxy that injects network faults. */
export * from "./kube-binary.js";
export * from "./kube-server.js";
export * from "./proxy.js";
export * from "./scripted-api.js";
