/** For tests only: a real API server, and a proxy that misbehaves on demand. */
export * from "./kube-binary.js";
export * from "./kube-server.js";
export * from "./proxy.js";
export * from "./scripted-api.js";
