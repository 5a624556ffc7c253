import { addressFromBytes, bytesKey, formatAddress, MeshError } from "@isthmus/model";
import { type ExplainPolicyRequest, type ExplainPolicyResponse, PolicyDirection } from "@isthmus/proto";
import { type AdminApi, openAdmin } from "../../access/admin.js";
import { withContexts } from "../../access/context.js";
import { type Kubeconfig, readKubeconfig } from "../../access/kubeconfig.js";
import { readMeshCluster } from "../../access/mesh-objects.js";
import type { Input } from "../../cli/command.js";
import { usageError } from "../../cli/exit.js";
import { outputFormat } from "../../cli/parse.js";
import { type ContextPod, parseContextPod } from "../../cli/reference.js";
import type { Io } from "../../output/io.js";
import { json } from "../../output/json.js";
import { kubectl } from "../../output/units.js";
import { explanationJson } from "../../policy/explain-json.js";
import { explanationText } from "../../policy/explain-text.js";
import { type EndView, type Explanation, type FlowEnd, isAllowed } from "../../policy/explanation.js";
import { parseTarget } from "./parse-target.js";

/** Exit code 0 when the flow is allowed and the maps agree, else 1. Throws USAGE, NO_POD, NO_MESH, ADMIN. */
export async function run(input: Input, io: Io): Promise<number> {
  const format = outputFormat(input.value("output"), ["text", "json"]);
  const [from, to] = [input.value("from"), input.value("to")];
  if (from === undefined || to === undefined) throw usageError("Cannot explain without --from POD and --to TARGET");
  const [source, target] = [parseContextPod(from, "from"), parseTarget(to)];
  const config = readKubeconfig(input.value("kubeconfig"), io.env);
  const preset = input.value("context") ?? config.current;
  const contextOf = ({ context }: ContextPod): string => {
    const name = context ?? preset;
    if (name === undefined) throw usageError("Cannot tell which cluster the pod is of: write CONTEXT/NAMESPACE/POD");
    return name;
  };
  const clusters = createClusters(config, io);
  const sourceContext = contextOf(source);
  const askSource = clusters.ask(sourceContext);
  const [begins, ends] = await Promise.all([
    findPod(askSource, sourceContext, source),
    "address" in target.end
      ? undefined
      : findPod(clusters.ask(contextOf(target.end)), contextOf(target.end), target.end),
  ]);
  const destination = ends?.end ?? {
    cluster: "",
    namespace: "",
    pod: "",
    address: "address" in target.end ? target.end.address : begins.end.address,
  };
  const explanation = await explain(begins.end, destination);
  io.out(format === "json" ? json(explanationJson(explanation)) : explanationText(explanation));
  return isAllowed(explanation) ? 0 : 1;

  async function explain(one: FlowEnd, other: FlowEnd): Promise<Explanation> {
    const flow = { protocol: target.protocol, port: target.port };
    const same = bytesKey(one.address) === bytesKey(other.address);
    if (same && (other.pod === "" || (one.cluster === other.cluster && one.pod === other.pod)))
      return { source: one, destination: one, ...flow, views: [], missing: undefined };
    const ingressOf = (end: FlowEnd, ask: Ask) => view("ingress", end, one, ask, flow);
    const egress = view("egress", one, other, askSource, flow);
    if (ends !== undefined) {
      const views = await Promise.all([egress, ingressOf(other, ends.ask)]);
      return { source: one, destination: other, ...flow, views, missing: undefined };
    }
    const first = await egress;
    requireNoService(first, other);
    const owner = ownerOf(first, other);
    if (owner === undefined) return { source: one, destination: other, ...flow, views: [first], missing: undefined };
    const ask = owner.cluster === one.cluster ? askSource : clusters.askCluster(owner.cluster);
    const second = ask === undefined ? undefined : await ingressIfKnown(ingressOf(owner, ask), owner);
    const name = `${owner.namespace}/${owner.pod}`;
    const missing =
      second === undefined
        ? `the ingress of ${name} is decided in cluster ${owner.cluster}: write CONTEXT/${name} for --to`
        : undefined;
    return {
      source: one,
      destination: owner,
      ...flow,
      views: second === undefined ? [first] : [first, second],
      missing,
    };
  }
}

/** Asks one cluster. */
type Ask = (request: ExplainPolicyRequest) => Promise<ExplainPolicyResponse>;

interface Clusters {
  /** Of a context of the kubeconfig. */
  ask(context: string): Ask;
  /** Of a cluster whose context has its name; undefined: there is none. */
  askCluster(cluster: string): Ask | undefined;
}

/** Each call opens the context and closes it again: a flow has two. */
function createClusters(config: Kubeconfig, io: Io): Clusters {
  const ask =
    (name: string): Ask =>
    (request) =>
      withContexts(config, [name], io.signal, async ([context]) => {
        const cluster = context === undefined ? undefined : await readMeshCluster(context.client);
        if (context === undefined || cluster === undefined)
          throw new MeshError(
            { code: "NO_MESH" },
            `Cannot explain policies of context "${name}": it holds no MeshCluster (deploy/base)`,
          );
        const admin: AdminApi = await openAdmin(context.client, cluster, io.signal);
        try {
          return await admin.explainPolicy(request);
        } finally {
          admin.close();
        }
      });
  return { ask, askCluster: (cluster) => (config.contexts.has(cluster) ? ask(cluster) : undefined) };
}

const NO_FLOW = {
  direction: PolicyDirection.POLICY_DIRECTION_UNSPECIFIED,
  other: Buffer.alloc(0),
  protocol: 0,
  port: 0,
};

/** Throws NO_POD. */
async function findPod(
  ask: Ask,
  context: string,
  { namespace, name }: ContextPod,
): Promise<{ readonly end: FlowEnd; readonly ask: Ask }> {
  const { cluster, pod, isService } = await ask({ namespace, pod: name, ...NO_FLOW });
  if (pod !== undefined) return { end: { cluster, namespace, pod: name, address: addressFromBytes(pod.address) }, ask };
  const what = `Cannot explain policy of "${namespace}/${name}" of context "${context}"`;
  throw new MeshError(
    { code: "NO_POD", namespace, pod: name },
    isService
      ? `${what}: it is a Service, and ${NOT_SERVICES}: mesh service explain ${namespace}/${name} shows them`
      : `${what}: ${cluster} knows no such pod with an address and an identity of its own; it does not exist, has just begun, has ended, or is on its node's network; see: ${kubectl(context)} -n ${namespace} get pod ${name} -o wide`,
  );
}

/** Throws NO_POD for the ClusterIP of a Service: another address is in the packet before a policy is asked. */
function requireNoService({ answer: { other } }: EndView, { address }: FlowEnd): void {
  const service = other?.service ?? "";
  if (service === "") return;
  const [namespace = "", name = ""] = service.split("/");
  throw new MeshError(
    { code: "NO_POD", namespace, pod: name },
    `Cannot explain policy towards ${formatAddress(address)}: it is the ClusterIP of Service ${service}, and ${NOT_SERVICES}: mesh service explain ${service} shows them`,
  );
}

const NOT_SERVICES = "policies see pods, not Services; name one of its pods";

/** One end's view of the flow. */
async function view(
  direction: EndView["direction"],
  pod: FlowEnd,
  { address }: FlowEnd,
  ask: Ask,
  flow: Pick<ExplainPolicyRequest, "protocol" | "port">,
): Promise<EndView> {
  const asked =
    direction === "egress" ? PolicyDirection.POLICY_DIRECTION_EGRESS : PolicyDirection.POLICY_DIRECTION_INGRESS;
  const answer = await ask({
    namespace: pod.namespace,
    pod: pod.pod,
    direction: asked,
    other: Buffer.from(address),
    ...flow,
  });
  return { direction, pod, answer };
}

/** The pod that the source's cluster knows at the destination's address. */
function ownerOf({ answer: { other } }: EndView, { address }: FlowEnd): FlowEnd | undefined {
  if (other === undefined || other.pod === "") return undefined;
  return { cluster: other.cluster, namespace: other.namespace, pod: other.pod, address };
}

/** Undefined when the cluster that was asked is another one, or has no such pod at this address. */
async function ingressIfKnown(asked: Promise<EndView>, { cluster, address }: FlowEnd): Promise<EndView | undefined> {
  const found = await asked;
  const { pod, cluster: answering } = found.answer;
  return answering === cluster && pod !== undefined && bytesKey(pod.address) === bytesKey(address) ? found : undefined;
}
