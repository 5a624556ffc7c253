import { MeshError } from "@isthmus/model";
import { openAdmin } from "../../access/admin.js";
import { withContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import { readMeshCluster } from "../../access/mesh-objects.js";
import { type Command, type Input, KUBECONFIG } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import type { Io } from "../../cli/io.js";
import { outputFormat } from "../../cli/parse.js";
import { json } from "../../output/json.js";
import { frontendJson } from "../../service/json.js";
import { servicesTable } from "../../service/render.js";

export const serviceList: Command = {
  path: ["service", "list"],
  summary: "show each frontend of a cluster: its backends per cluster and tier, and what keeps one out",
  detail: [
    "BACKENDS counts those that new connections may go to now. CLUSTERS shows the tiers, best first, each cluster with its ready",
    "backends (1/2: one of two; 0+1/2: one is terminating and still serves); the tier in brackets takes new connections.",
    "Exit code 1 when a frontend is in error.",
  ].join("\n"),
  options: [
    { name: "context", value: "NAME", summary: "cluster to ask; otherwise the current context" },
    { name: "namespace", short: "n", value: "NS", summary: "only this namespace; otherwise all" },
    { name: "global", summary: "only global services" },
    { name: "output", short: "o", value: "FORMAT", summary: "table (default) or json" },
    KUBECONFIG,
  ],
  examples: [
    { says: "All frontends of the current cluster", command: "mesh service list" },
    {
      says: "Where do east's clients of a global service go?",
      command: "mesh service list --context east -n shop --global",
    },
  ],
  run,
};

async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const name = input.value("context") ?? config.current;
  if (name === undefined) throw usageError("Cannot tell which cluster to ask: use --context");
  const frontends = await withContexts(config, [name], async ([context]) => {
    const cluster = context === undefined ? undefined : await readMeshCluster(context.client);
    if (context === undefined || cluster === undefined)
      throw new MeshError(
        { code: "NO_MESH" },
        `Cannot list services of context "${name}": it holds no MeshCluster (deploy/base)`,
      );
    const admin = await openAdmin(context.client, cluster);
    try {
      return (await admin.listServices({ namespace: input.value("namespace") ?? "", globalOnly: input.flag("global") }))
        .frontends;
    } finally {
      admin.close();
    }
  });
  io.out(format === "json" ? json({ services: frontends.map(frontendJson) }) : servicesTable(frontends));
  return frontends.some(({ status }) => status.startsWith("Error")) ? 1 : 0;
}
