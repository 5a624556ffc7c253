export type * from "./cluster/export-source.js";
export type * from "./serve/stream-source.js";
