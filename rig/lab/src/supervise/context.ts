/** State that the parts of a running lab share. */
import type { CgroupHierarchy } from "../host/mounts.js";
import type { LabPaths } from "../plan/paths.js";
import type { LabPlan } from "../plan/plan.js";
import type { ManagedProcessModules } from "./managed-process.js";
import type { ProcessTable } from "./process-table.js";

/** Files that `up` found or built before the supervisor started. */
export interface LabInputs {
  /** Folder with the Kubernetes and etcd binaries. */
  readonly bin: string;
  /** Path of the static pid 1. */
  readonly reaper: string;
  /** docker-archives that every node imports before it is ready. */
  readonly imageArchives: readonly string[];
  /** Programs of the mesh; absent in a bare lab. */
  readonly mesh?: MeshPrograms;
}

export interface MeshPrograms {
  readonly node: string;
  readonly apiServerMain: string;
  readonly agentMain: string;
  readonly cniPlugin: string;
  /** Folder of the Kustomize base and of the CRDs of Cilium's policies. */
  readonly manifests: string;
}

export interface LabContext {
  readonly plan: LabPlan;
  readonly paths: LabPaths;
  readonly inputs: LabInputs;
  readonly hierarchies: readonly CgroupHierarchy[];
  readonly processes: ProcessTable;
  readonly modules: ManagedProcessModules;
}

/** Names of the lab's control groups, relative to the mounts. */
export function cgroupOf(plan: LabPlan, unit: string): string {
  return `${plan.cgroup}/${unit}`;
}
