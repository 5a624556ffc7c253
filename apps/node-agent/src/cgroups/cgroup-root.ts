/** The node's cgroup2 folder, checked once at the start. */
import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";

export interface CgroupRoot {
  /** A folder of cgroup2: the given one, or "unified" in it. */
  readonly path: string;
  /** The node has cgroup v1 beside cgroup2: its kubelet uses v1, and cgroup2 has no controllers. */
  readonly hybrid: boolean;
}

const CGROUP2_MAGIC = 0x63677270;

/**
 * `given`: a cgroup2 folder, or a cgroup v1 folder that has cgroup2 as "unified": nodes of one cluster may differ.
 * Throws `CGROUP`.
 */
export function openCgroupRoot(given: string): CgroupRoot {
  const path = [given, join(given, "unified")].find((each) => typeOf(each) === CGROUP2_MAGIC);
  if (path === undefined) {
    const code = { code: "CGROUP", path: given } as const;
    throw new MeshError(code, `Cannot use --cgroup "${given}": neither it nor its subfolder "unified" is cgroup2`);
  }
  // A kubelet needs the memory controller: if cgroup2 does not have it, cgroup v1 does.
  const controllers = readFileSync(join(path, "cgroup.controllers"), "utf8").trim().split(/\s+/);
  return { path, hybrid: !controllers.includes("memory") };
}

function typeOf(path: string): number | undefined {
  try {
    return statfsSync(path).type;
  } catch {
    return undefined;
  }
}
