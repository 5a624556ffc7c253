export * from "./authority.js";
export * from "./certificate.js";
export * from "./files.js";
export * from "./key.js";
export * from "./request.js";
