/** Asks the admin API of one cluster, for commands that list what it has. */
import { hasStatus } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import type { Input } from "../cli/command.js";
import { usageError } from "../cli/exit.js";
import type { Io } from "../output/io.js";
import { kubectl } from "../output/units.js";
import { type AdminApi, openAdmin } from "./admin.js";
import { type Context, withContexts } from "./context.js";
import { readKubeconfig } from "./kubeconfig.js";
import { readMeshCluster } from "./mesh-objects.js";

/**
 * The cluster of `--context`, or of the current context. `what`: what is listed, in the plural: `services`. Throws NO_MESH when
 * it has no mesh.
 */
export async function askOneCluster<T>(
  input: Input,
  io: Io,
  what: string,
  ask: (admin: AdminApi, context: Context) => Promise<T>,
): Promise<T> {
  return askCluster(input, io, { action: `list ${what}`, context: undefined }, ask);
}

/** The same for another command: `action` is what it cannot do without a mesh; `context`: undefined: as above. */
export async function askCluster<T>(
  input: Input,
  io: Io,
  { action, context: wanted }: { readonly action: string; readonly context: string | undefined },
  ask: (admin: AdminApi, context: Context) => Promise<T>,
): Promise<T> {
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const name = wanted ?? input.value("context") ?? config.current;
  if (name === undefined) throw usageError("Cannot tell which cluster to ask: use --context");
  return withContexts(config, [name], io.signal, async ([context]) => {
    const cluster = context === undefined ? undefined : await readMeshCluster(context.client);
    if (context === undefined || cluster === undefined)
      throw new MeshError(
        { code: "NO_MESH" },
        `Cannot ${action} of context "${name}": it holds no MeshCluster (deploy/base)`,
      );
    const admin = await openAdmin(context.client, cluster, io.signal);
    try {
      return await ask(admin, context);
    } finally {
      admin.close();
    }
  });
}

/**
 * Says why a list is empty; `nothing` begins the sentence: `No policy`. Namespace "" means all. Throws NO_NAMESPACE when the cluster
 * has none of that name.
 */
export async function whyNone(
  { name, client }: Context,
  namespace: string,
  { what, nothing }: { readonly what: string; readonly nothing: string },
): Promise<string> {
  if (namespace === "") return `${nothing} in context "${name}"\n`;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;
  await client.transport.json({ method: "GET", path }).catch((thrown: unknown) => {
    // Without the right to read the namespace the answer is less specific.
    if (!hasStatus(thrown, 404)) return;
    throw new MeshError(
      { code: "NO_NAMESPACE", namespace },
      `Cannot list ${what} of namespace "${namespace}": context "${name}" has no such namespace; see: ${kubectl(name)} get namespaces`,
    );
  });
  return `${nothing} in namespace "${namespace}" of context "${name}"\n`;
}
