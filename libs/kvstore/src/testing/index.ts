/** For tests only: a real etcd, a link that breaks, waiting for a condition. */
export * from "./cut-proxy.js";
export * from "./etcd-server.js";
export * from "./find-etcd.js";
export * from "./until.js";
