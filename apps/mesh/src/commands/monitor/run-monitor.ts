import { hasStatus } from "@isthmus/kube";
import { lineText, MeshError } from "@isthmus/model";
import { type MonitorResponse, MonitorState } from "@isthmus/proto";
import { openAdmin } from "../../access/admin.js";
import { type Context, withContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import { readMeshCluster } from "../../access/mesh-objects.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import { outputFormat, parseDuration } from "../../cli/parse.js";
import { type PodReference, parsePod } from "../../cli/pod.js";
import { eventJson } from "../../monitor/event-json.js";
import { eventLine, notShownLines } from "../../monitor/event-text.js";
import { createHeardNodes } from "../../monitor/heard-nodes.js";
import type { Io } from "../../output/io.js";
import { jsonLine } from "../../output/json.js";
import { kubectl } from "../../output/units.js";

/** Time of the calls before the first event. */
const START_MS = 15_000;

/** Prints events until its user or `--for` ends it. Throws USAGE, NO_POD, NO_NODE, NO_MESH, ADMIN. */
export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const pod = podOf(input);
  const forMs = input.value("for");
  const time = forMs === undefined ? undefined : AbortSignal.timeout(parseDuration(forMs, "for"));
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const name = input.value("context") ?? config.current;
  if (name === undefined) throw usageError("Cannot tell which cluster to ask: use --context");
  const signal = time === undefined ? io.signal : AbortSignal.any([io.signal, time]);
  try {
    return await withContexts(config, [name], signal, async ([context]) => {
      if (context === undefined) throw noMesh(name);
      const admin = await openMonitored(context, pod, io, signal);
      const nodes = [...new Set(input.values("node"))];
      const filter = { fromNamespace: pod?.namespace ?? "", fromPod: pod?.name ?? "", dropsOnly: input.flag("drops") };
      try {
        return await admin.monitor({ filter, nodes }, printer(nodes, admin.servers, { context: name, format, io }));
      } finally {
        admin.close();
      }
    });
  } catch (thrown) {
    if (time?.aborted === true && !io.signal.aborted) return 0;
    throw io.signal.aborted ? io.signal.reason : thrown;
  }
}

/** The pod of `--from`. Throws USAGE when it cannot be the name of one. */
function podOf(input: Input): PodReference | undefined {
  const [text, namespace] = [input.value("from"), input.value("namespace")];
  if (text !== undefined) return parsePod(text, namespace);
  if (namespace !== undefined)
    throw usageError("Cannot use --namespace without --from: it is the namespace of that pod");
  return undefined;
}

/** The admin API, once the pod is known to exist. The calls before the first event have a time of their own. */
async function openMonitored(context: Context, pod: PodReference | undefined, io: Io, signal: AbortSignal) {
  const late = AbortSignal.timeout(START_MS);
  let timer: (() => void) | undefined;
  const timeUp = new Promise<never>((_, reject) => {
    timer = () =>
      reject(
        new MeshError(
          { code: "TIMEOUT" },
          `Cannot begin: the Kubernetes API of context "${context.name}" gives no answer within ${START_MS / 1000}s`,
        ),
      );
    late.addEventListener("abort", timer, { once: true });
  });
  const open = async () => {
    const cluster = await readMeshCluster(context.client);
    if (cluster === undefined) throw noMesh(context.name);
    if (pod !== undefined) await checkPod(context, pod, io);
    return openAdmin(context.client, cluster, signal);
  };
  try {
    return await Promise.race([open(), timeUp]);
  } finally {
    if (timer !== undefined) late.removeEventListener("abort", timer);
  }
}

function noMesh(context: string): MeshError {
  return new MeshError(
    { code: "NO_MESH" },
    `Cannot monitor context "${context}": it holds no MeshCluster (deploy/base)`,
  );
}

/** Throws NO_POD for a pod that there is not, or whose packets no program sees. */
async function checkPod({ name: context, client }: Context, { namespace, name }: PodReference, io: Io): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
  let found: unknown;
  try {
    found = await client.transport.json({ method: "GET", path });
  } catch (thrown) {
    if (hasStatus(thrown, 404))
      throw new MeshError(
        { code: "NO_POD", namespace, pod: name },
        `Cannot monitor pod "${namespace}/${name}": context "${context}" has no such pod; see: ${kubectl(context)} -n ${namespace} get pods`,
      );
    if (!hasStatus(thrown, 401, 403)) throw thrown;
    // Without the right to read pods a wrong name shows nothing.
    io.err(`Cannot check that pod "${namespace}/${name}" exists: no right to read it; a wrong name shows no events\n`);
    return;
  }
  const spec = (found as { readonly spec?: { readonly hostNetwork?: unknown; readonly nodeName?: unknown } }).spec;
  if (spec?.hostNetwork === true)
    throw new MeshError(
      { code: "NO_POD", namespace, pod: name },
      `Cannot monitor pod "${namespace}/${name}": it is on the node's network, whose packets are no pod's`,
    );
  io.err(
    typeof spec?.nodeName === "string"
      ? `Pod ${namespace}/${name} is on node ${lineText(spec.nodeName)}\n`
      : `Pod ${namespace}/${name} is on no node yet\n`,
  );
}

interface Output {
  readonly context: string;
  readonly format: "table" | "json";
  readonly io: Io;
}

/** Prints what servers say: about the nodes first when each has answered or is lost, since each hears other nodes. */
function printer(asked: readonly string[], servers: readonly string[], { context, format, io }: Output) {
  const heard = createHeardNodes();
  const awaited = new Set(servers);

  function report(server: string): void {
    awaited.delete(server);
    if (awaited.size > 0) return;
    const states = heard.states();
    const unknown = asked.filter((node) => states.get(node)?.state === MonitorState.MONITOR_STATE_UNKNOWN);
    for (const node of unknown)
      throw new MeshError(
        { code: "NO_NODE", node },
        `Cannot monitor node "${node}": context "${context}" has no such Linux node; see: ${kubectl(context)} get nodes`,
      );
    const changes = heard.changes();
    for (const sentence of changes) io.err(`${sentence}\n`);
    if (format === "json" && changes.length > 0) {
      const list = [...states].map(([node, { state, message }]) => {
        const isHeard = state === MonitorState.MONITOR_STATE_HEARD;
        return { node, heard: isHeard, ...(message === "" ? {} : { message }) };
      });
      io.out(jsonLine({ nodes: list }));
    }
  }

  return {
    message(server: string, { message }: MonitorResponse): void {
      if (message?.$case === "nodes") {
        heard.report(server, message.value.nodes);
        report(server);
      }
      if (message?.$case !== "events") return;
      const { node, batch } = message.value;
      const now = new Date();
      for (const event of batch?.events ?? [])
        io.out(format === "json" ? jsonLine(eventJson(node, event)) : eventLine(node, event, now));
      const notShown = batch?.notShown;
      if (notShown === undefined) return;
      if (format === "json") io.out(jsonLine({ notShown: { node, ...notShown } }));
      for (const line of notShownLines(node, notShown)) io.err(line);
    },
    lost(server: string, reason: string): void {
      io.err(`No answer of server ${server}: ${lineText(reason)}; asking it again\n`);
      heard.lost(server);
      report(server);
    },
  };
}
