/** The files of a node, written before it starts. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram } from "../host/preflight.js";
import { type LabPaths, STATIC_PODS } from "../plan/paths.js";
import type { ClusterPlan, NodePlan } from "../plan/plan.js";
import { containerdConfig } from "./containerd-config.js";
import { kubeletConfig } from "./kubelet-config.js";

export async function writeNodeFiles(cluster: ClusterPlan, node: NodePlan, paths: LabPaths): Promise<void> {
  const { config, varLib, varLog } = paths.node(node.name);
  const folders = [
    config,
    varLog,
    ...["kubelet", STATIC_PODS, "containerd", "cni", "isthmus/cni/bin", "isthmus/cni/net.d"].map((name) =>
      join(varLib, name),
    ),
  ];
  await Promise.all(folders.map((folder) => mkdir(folder, { recursive: true })));
  await writeFile(join(config, "containerd.toml"), containerdConfig(findProgram("runc") ?? "runc"));
  await writeFile(join(config, "kubelet.json"), kubeletConfig(cluster));
}
