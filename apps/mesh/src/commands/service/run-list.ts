import { MeshError } from "@isthmus/model";
import { openAdmin } from "../../access/admin.js";
import { withContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import { readMeshCluster } from "../../access/mesh-objects.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import type { Io } from "../../cli/io.js";
import { outputFormat } from "../../cli/parse.js";
import { json } from "../../output/json.js";
import { frontendJson } from "../../service/json.js";
import { servicesTable } from "../../service/render.js";

/** Of a Service without endpoints: that is as its cluster wants it. */
const NO_BACKEND = "Error: no ready backend";

export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const name = input.value("context") ?? config.current;
  if (name === undefined) throw usageError("Cannot tell which cluster to ask: use --context");
  const frontends = await withContexts(config, [name], io.signal, async ([context]) => {
    const cluster = context === undefined ? undefined : await readMeshCluster(context.client);
    if (context === undefined || cluster === undefined)
      throw new MeshError(
        { code: "NO_MESH" },
        `Cannot list services of context "${name}": it holds no MeshCluster (deploy/base)`,
      );
    const admin = await openAdmin(context.client, cluster, io.signal);
    try {
      return (await admin.listServices({ namespace: input.value("namespace") ?? "", globalOnly: input.flag("global") }))
        .frontends;
    } finally {
      admin.close();
    }
  });
  io.out(format === "json" ? json({ services: frontends.map(frontendJson) }) : servicesTable(frontends));
  return frontends.some(({ status }) => status.startsWith("Error") && status !== NO_BACKEND) ? 1 : 0;
}
