/** The node's cgroup2 folder, checked once at the start. */
import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";

export interface CgroupRoot {
  readonly path: string;
  /** The node's kubelet uses cgroup v1, beside which cgroup2 has no controllers. */
  readonly hybrid: boolean;
}

const CGROUP2_MAGIC = 0x63677270;

/** `given`: a cgroup2 folder, or the one that has cgroup2 as "unified" beside cgroup v1: nodes of one cluster may differ. Throws `CGROUP`. */
export function openCgroupRoot(given: string): CgroupRoot {
  const path = [given, join(given, "unified")].find((each) => typeOf(each) === CGROUP2_MAGIC);
  if (path === undefined) {
    const code = { code: "CGROUP", path: given } as const;
    throw new MeshError(code, `Cannot use --cgroup "${given}": neither it nor "unified" in it is cgroup2`);
  }
  // A kubelet needs the memory controller: where cgroup2 does not have it, cgroup v1 does.
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
