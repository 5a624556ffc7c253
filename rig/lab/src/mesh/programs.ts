/** Finds the mesh's programs in the checkout. They are built by other packages; a bare lab runs without them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { labError } from "../plan/errors.js";
import { REPOSITORY_ROOT } from "../plan/paths.js";
import type { MeshPrograms } from "../supervise/context.js";

export function meshPrograms(root: string = REPOSITORY_ROOT): MeshPrograms {
  const programs = {
    node: process.execPath,
    apiServerMain: join(root, "apps/clustermesh-apiserver/dist/main.js"),
    agentMain: join(root, "apps/node-agent/dist/main.js"),
    cniPlugin: join(root, "apps/cni/build/isthmus-cni"),
    manifests: join(root, "deploy"),
  };
  const missing = Object.values(programs).find((path) => !existsSync(path));
  if (missing === undefined) return programs;
  throw labError("UNFIT", `Cannot find "${missing}": run "make setup" to build it, or bring the lab up with --bare`);
}
