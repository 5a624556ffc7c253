/** For tests only: a real etcd, and a proxy that breaks connections. */
export * from "./cut-proxy.js";
export * from "./etcd-server.js";
export * from "./find-etcd.js";
export * from "./full-store.js";
