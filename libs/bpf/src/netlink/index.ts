/** Requests of rtnetlink and parsers of its messages, in its own words: link, address, route, neighbour. */
export * from "./addresses.js";
export * from "./attributes.js";
export * from "./filters.js";
export * from "./links.js";
export * from "./messages.js";
export * from "./neighbours.js";
export * from "./queries.js";
export * from "./routes.js";
