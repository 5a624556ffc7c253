export { openCgroupRoot } from "./cgroup-root.js";
export { keepPodsCgroups, openPodsCgroups, type PodsCgroups } from "./pods-cgroups.js";
