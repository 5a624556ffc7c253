import { hasStatus } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import { openAdmin } from "../../access/admin.js";
import { type Context, withContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import { readMeshCluster } from "../../access/mesh-objects.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import { outputFormat } from "../../cli/parse.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";
import { kubectl } from "../../output/units.js";
import { isFailed } from "../../service/failed.js";
import { frontendJson } from "../../service/json.js";
import { servicesTable } from "../../service/render.js";

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
      const namespace = input.value("namespace") ?? "";
      const { frontends } = await admin.listServices({ namespace, globalOnly: input.flag("global") });
      if (frontends.length === 0) io.err(await whyNone(context, namespace, input.flag("global")));
      return frontends;
    } finally {
      admin.close();
    }
  });
  io.out(format === "json" ? json({ services: frontends.map(frontendJson) }) : servicesTable(frontends));
  return frontends.some(isFailed) ? 1 : 0;
}

/** Throws NO_NAMESPACE when the cluster has none of that name. */
async function whyNone({ name, client }: Context, namespace: string, globalOnly: boolean): Promise<string> {
  const what = globalOnly ? "No frontend of a global Service" : "No frontend";
  if (namespace === "") return `${what} in context "${name}"\n`;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  await client.transport.json({ method: "GET", path }).catch((thrown: unknown) => {
    // Without the right to read the namespace the answer is less specific.
    if (!hasStatus(thrown, 404)) return;
    throw new MeshError(
      { code: "NO_NAMESPACE", namespace },
      `Cannot list services of namespace "${namespace}": context "${name}" has no such namespace; see: ${kubectl(name)} get namespaces`,
    );
  });
  return `${what} in namespace "${namespace}" of context "${name}"\n`;
}
