/** Checks what events are narrowed to: a wrong name would show nothing, without end. */
import { hasStatus } from "@isthmus/kube";
import { lineText, MeshError } from "@isthmus/model";
import type { Context } from "../../access/context.js";
import type { Reference } from "../../cli/reference.js";
import type { Io } from "../../output/io.js";
import { kubectl } from "../../output/units.js";

/** Prints the pod's node. Throws NO_POD for a pod that there is not, or whose packets no program sees. */
export async function checkPod(context: Context, { namespace, name }: Reference, io: Io): Promise<void> {
  const spec = await readSpec(context, { namespace, name }, "pods");
  if (spec === "denied")
    return io.err(
      `Cannot check that pod "${namespace}/${name}" exists: no right to read it; a wrong name shows no events\n`,
    );
  if (spec === "missing")
    throw new MeshError(
      { code: "NO_POD", namespace, pod: name },
      `Cannot monitor pod "${namespace}/${name}": context "${context.name}" has no such pod; see: ${kubectl(context.name)} -n ${namespace} get pods`,
    );
  if (spec["hostNetwork"] === true)
    throw new MeshError(
      { code: "NO_POD", namespace, pod: name },
      `Cannot monitor pod "${namespace}/${name}": it is on the node's network, whose packets are no pod's`,
    );
  const node = spec["nodeName"];
  io.err(
    typeof node === "string"
      ? `Pod ${namespace}/${name} is on node ${lineText(node)}\n`
      : `Pod ${namespace}/${name} is on no node yet\n`,
  );
}

/** Throws NO_SERVICE for a Service that there is not, or that no pod can dial. */
export async function checkService(context: Context, { namespace, name }: Reference, io: Io): Promise<void> {
  const spec = await readSpec(context, { namespace, name }, "services");
  if (spec === "denied")
    return io.err(
      `Cannot check that Service "${namespace}/${name}" exists: no right to read it; a wrong name shows no events\n`,
    );
  if (spec === "missing")
    throw new MeshError(
      { code: "NO_SERVICE", namespace, service: name },
      `Cannot monitor Service "${namespace}/${name}": context "${context.name}" has no such Service; see: ${kubectl(context.name)} -n ${namespace} get services`,
    );
  const address = spec["clusterIP"];
  if (address === undefined || address === "" || address === "None")
    throw new MeshError(
      { code: "NO_SERVICE", namespace, service: name },
      `Cannot monitor Service "${namespace}/${name}": it has no ClusterIP, so its clients dial its pods`,
    );
}

type Spec = Readonly<Record<string, unknown>>;

async function readSpec(
  { client }: Context,
  { namespace, name }: Reference,
  plural: string,
): Promise<Spec | "missing" | "denied"> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`;
  try {
    const found = (await client.transport.json({ method: "GET", path })) as { readonly spec?: Spec };
    return found.spec ?? {};
  } catch (thrown) {
    if (hasStatus(thrown, 404)) return "missing";
    if (hasStatus(thrown, 401, 403)) return "denied";
    throw thrown;
  }
}
