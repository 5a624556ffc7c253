export * from "./authority.js";
export * from "./certificate.js";
export * from "./error-codes.js";
export * from "./files.js";
export * from "./key.js";
export * from "./request.js";
