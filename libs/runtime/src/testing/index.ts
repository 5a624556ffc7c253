/** For tests only. */
export * from "./fake-clock.js";
