/** Imports image archives into the containerd of a node. */
import { closeSync, openSync } from "node:fs";
import { findProgram } from "../host/preflight.js";
import { run } from "../host/run.js";
import type { NodePlan } from "../plan/plan.js";
import type { LabContext } from "../supervise/context.js";
import { inNode, joinCgroup } from "../supervise/wrap.js";
import { nodeId, nodeProcessCgroup } from "./node-processes.js";

/** Imports one docker-archive with the tags of its manifest. The file is passed as stdin, since the node cannot see it. */
export async function importImage(
  context: LabContext,
  node: NodePlan,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  const ctr = [
    findProgram("ctr") ?? "ctr",
    "--namespace",
    "k8s.io",
    "images",
    "import",
    "--snapshotter",
    "overlayfs",
    "-",
  ];
  const argv = inNode(context.processes.pidOf(nodeId(node)), ctr);
  const stdinFd = openSync(file, "r");
  try {
    const joined = joinCgroup(context.hierarchies, nodeProcessCgroup(context, node), argv);
    await run(joined, { stdinFd, ...(signal === undefined ? {} : { signal }) });
  } finally {
    closeSync(stdinFd);
  }
}
