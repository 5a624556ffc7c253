export { openCgroupRoot } from "./cgroup-root.js";
export { openPodsCgroups, type PodsCgroups, reconcilePodsCgroups } from "./pods-cgroups.js";
