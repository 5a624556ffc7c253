/** For tests and benchmarks of other packages: new cgroups, services written directly into maps, test programs. */
export * from "./cgroup.js";
export * from "./objects.js";
export * from "./skb-run.js";
export * from "./writer.js";
