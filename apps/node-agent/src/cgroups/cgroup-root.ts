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

/** Throws `CGROUP` when it is not a cgroup2 directory, and says where that is if it is near. */
export function openCgroupRoot(path: string): CgroupRoot {
  if (typeOf(path) !== CGROUP2_MAGIC) {
    const unified = join(path, "unified");
    const hint = typeOf(unified) === CGROUP2_MAGIC ? `; on this node it is "${unified}"` : "";
    throw new MeshError({ code: "CGROUP", path }, `Cannot use --cgroup "${path}": it is not cgroup2${hint}`);
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
