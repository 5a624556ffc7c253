import { MeshError } from "@isthmus/model";
import { EventFilter } from "@isthmus/proto";
import { openAdmin } from "../../access/admin.js";
import { type Context, withContexts } from "../../access/context.js";
import { readKubeconfig } from "../../access/kubeconfig.js";
import { readMeshCluster } from "../../access/mesh-objects.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import { outputFormat, parseDuration } from "../../cli/parse.js";
import { parsePod, parseService, type Reference } from "../../cli/reference.js";
import type { Io } from "../../output/io.js";
import { checkPod, checkService } from "./check-filter.js";
import { createPrinter } from "./printer.js";

/** Time of the calls before the first event. */
const START_MS = 15_000;

/** Prints events until its user or `--for` ends it. Throws USAGE, NO_POD, NO_SERVICE, NO_NODE, NO_MESH, ADMIN. */
export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["table", "json"]);
  const wanted = wantedOf(input);
  const forMs = input.value("for");
  const time = forMs === undefined ? undefined : AbortSignal.timeout(parseDuration(forMs, "for"));
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const name = input.value("context") ?? config.current;
  if (name === undefined) throw usageError("Cannot tell which cluster to ask: use --context");
  const signal = time === undefined ? io.signal : AbortSignal.any([io.signal, time]);
  try {
    return await withContexts(config, [name], signal, async ([context]) => {
      if (context === undefined) throw noMesh(name);
      const admin = await openMonitored(context, wanted, io, signal);
      const nodes = [...new Set(input.values("node"))];
      const filter = filterOf(wanted);
      try {
        const printer = createPrinter({ nodes, servers: admin.servers, filter, context: name, format }, io);
        return await admin.monitor({ filter, nodes }, printer);
      } finally {
        admin.close();
      }
    });
  } catch (thrown) {
    if (time?.aborted === true && !io.signal.aborted) return 0;
    throw io.signal.aborted ? io.signal.reason : thrown;
  }
}

/** What events are narrowed to, besides nodes. */
interface Wanted {
  readonly pod: Reference | undefined;
  readonly service: Reference | undefined;
  readonly dropsOnly: boolean;
}

/** Throws USAGE for what cannot be a name, or narrows to nothing. */
function wantedOf(input: Input): Wanted {
  const [from, service, namespace] = [input.value("from"), input.value("service"), input.value("namespace")];
  const dropsOnly = input.flag("drops");
  if (namespace !== undefined && from === undefined && service === undefined)
    throw usageError("Cannot use --namespace without --from or --service: it is the namespace of that pod or Service");
  if (service !== undefined && dropsOnly)
    throw usageError(
      "Cannot use --service with --drops: it is not known of a dropped packet which Service was dialled",
    );
  return {
    pod: from === undefined ? undefined : parsePod(from, namespace),
    service: service === undefined ? undefined : parseService(service, namespace),
    dropsOnly,
  };
}

function filterOf({ pod, service, dropsOnly }: Wanted): EventFilter {
  return EventFilter.fromPartial({
    ...(pod === undefined ? {} : { fromNamespace: pod.namespace, fromPod: pod.name }),
    ...(service === undefined ? {} : { serviceNamespace: service.namespace, service: service.name }),
    dropsOnly,
  });
}

/** The admin API, once pod and Service are known to exist. The calls before the first event have a time of their own. */
async function openMonitored(context: Context, { pod, service }: Wanted, io: Io, signal: AbortSignal) {
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
    if (service !== undefined) await checkService(context, service, io);
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
