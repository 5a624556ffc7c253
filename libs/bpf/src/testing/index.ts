/** For tests and benchmarks of other packages: cgroups of one's own, services written by hand, test programs. */
export * from "./cgroup.js";
export * from "./objects.js";
export * from "./writer.js";
