import { hasStatus } from "@isthmus/kube";
import { lineText, MeshError } from "@isthmus/model";
import { type ExplainServiceResponse, MonitorState } from "@isthmus/proto";
import type { Context } from "../../access/context.js";
import { askCluster } from "../../access/one-cluster.js";
import { whyNoAnswer } from "../../access/why-no-answer.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import { outputFormat } from "../../cli/parse.js";
import {
  type ContextPod,
  parseContextPod,
  parseServicePort,
  type Reference,
  type ServicePort,
} from "../../cli/reference.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";
import { kubectl } from "../../output/units.js";
import { explainJson } from "../../service/explain-json.js";
import { explainText, isUsable, portText } from "../../service/explain-render.js";

/** Prints one Service. Throws USAGE, NO_SERVICE, NO_POD, NO_MESH, ADMIN. */
export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const [text, ...more] = input.args;
  if (text === undefined) throw usageError("Cannot tell which Service to explain: write NAMESPACE/SERVICE");
  if (more.length > 0) throw usageError(`Cannot explain "${lineText(more[0] ?? "")}" too: name one Service`);
  const wanted = parseServicePort(text);
  const from = fromOf(input);
  const action = { action: "explain a Service", context: from?.context };
  return askCluster(input, io, action, async (admin, context) => {
    const { namespace, name, port } = wanted;
    const pod = { fromNamespace: from?.namespace ?? "", fromPod: from?.name ?? "" };
    const answer = await admin.explainService({ namespace, name, port, ...pod });
    if (answer.service === undefined) throw noService(wanted, context, answer);
    if (from !== undefined && answer.pod === undefined) throw await noPod(from, context, answer);
    if (port !== "" && answer.frontends.length === 0 && answer.service.addresses.length > 0)
      throw noPort(wanted, context, answer);
    const unread = unreadMaps(answer);
    io.out(format === "json" ? json(explainJson(answer, context.name)) : explainText(answer, context.name));
    if (unread !== undefined) io.err(unread);
    return unread === undefined && isUsable(answer) ? 0 : 1;
  });
}

function fromOf(input: Input): ContextPod | undefined {
  const text = input.value("from");
  if (text === undefined) return undefined;
  const [from, context] = [parseContextPod(text), input.value("context")];
  if (from.context !== undefined && context !== undefined && context !== from.context)
    throw usageError(`Cannot use --from "${text}" with --context "${context}": they name two clusters`);
  return from;
}

/** A line for stderr; undefined: they were read, or not asked for. */
function unreadMaps({ pod, node }: ExplainServiceResponse): string | undefined {
  if (pod === undefined || node?.state === MonitorState.MONITOR_STATE_HEARD) return undefined;
  const name = lineText(pod.node);
  if (node === undefined)
    return `Cannot read the maps of node "${name}": this server has no agents; shown is what the records say\n`;
  const why =
    node.state === MonitorState.MONITOR_STATE_UNKNOWN
      ? "the cluster has no such Linux node"
      : whyNoAnswer(node.state, lineText(node.message));
  return `Cannot read the maps of node "${name}": ${why}. Shown is what the records say\n`;
}

function noService(
  { namespace, name }: ServicePort,
  { name: context }: Context,
  { clusters }: ExplainServiceResponse,
): MeshError {
  const others = clusters.filter(({ exported }) => exported).map(({ cluster }) => `"${lineText(cluster)}"`);
  const hint =
    others.length === 0
      ? `see: ${kubectl(context)} -n ${namespace} get services`
      : `cluster ${others.join(", ")} exports one; a pod can dial it when this cluster has a global Service of that name, too`;
  return new MeshError(
    { code: "NO_SERVICE", namespace, service: name },
    `Cannot explain Service "${namespace}/${name}": context "${context}" has no such Service; ${hint}`,
  );
}

function noPort(
  { namespace, name, port }: ServicePort,
  { name: context }: Context,
  { service }: ExplainServiceResponse,
) {
  return new MeshError(
    { code: "NO_SERVICE", namespace, service: name },
    `Cannot explain port "${port}" of Service "${namespace}/${name}": in context "${context}" it has ${(service?.ports ?? []).map(portText).join(", ") || "no port that is served"}`,
  );
}

/** Why the mesh knows no such pod: the cluster's Kubernetes may say. */
async function noPod(
  { namespace, name }: Reference,
  { name: context, client }: Context,
  { podClusters }: ExplainServiceResponse,
): Promise<MeshError> {
  const fail = (why: string) =>
    new MeshError(
      { code: "NO_POD", namespace, pod: name },
      `Cannot explain a Service from pod "${namespace}/${name}": ${why}`,
    );
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
  const pod = await client.transport.json({ method: "GET", path }).catch((thrown: unknown) => {
    if (hasStatus(thrown, 404)) return undefined;
    if (hasStatus(thrown, 401, 403)) return {};
    throw thrown;
  });
  const clusters = podClusters.map((cluster) => `"${lineText(cluster)}"`).join(", ");
  if (pod === undefined && clusters !== "")
    return fail(
      `context "${context}" has no such pod, cluster ${clusters} has: name the context of that cluster in --from`,
    );
  if (pod === undefined)
    return fail(`context "${context}" has no such pod; see: ${kubectl(context)} -n ${namespace} get pods`);
  const { spec } = pod as { readonly spec?: { readonly hostNetwork?: unknown } };
  if (spec?.hostNetwork === true)
    return fail("it is on the node's network, whose connects no program of the mesh translates");
  return fail(
    "the mesh knows no address of it: it has none yet, it has ended, or no agent runs on its node; see mesh status",
  );
}
