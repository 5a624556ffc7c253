/** For tests only: a real etcd, a link that breaks. */
export * from "./cut-proxy.js";
export * from "./etcd-server.js";
export * from "./find-etcd.js";
export * from "./full-store.js";
