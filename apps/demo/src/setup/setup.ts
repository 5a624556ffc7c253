/**
 * From a lab that is up to a client whose every request is answered: connect, deploy, annotate, warm up.
 *
 * Invariant: the client starts only when the mesh is in sync, and the faults only after three seconds without a loss.
 */
import { DEPLOYMENTS, type KubeObject, type KubeService, NAMESPACES, PODS, SERVICES } from "@isthmus/kube";
import { DEMO_TAG, type LabHandle } from "@isthmus/lab";
import { followClient } from "../drive/follow-client.js";
import { type ClusterAccess, delay } from "../drive/lab-world.js";
import { NEAR } from "../judge/judge.js";
import { createSampleLog, type SampleLog } from "../samples/log.js";
import { monoNow } from "../samples/sample.js";
import { runMeshCommand } from "./mesh-command.js";
import { CLIENT, clientPod, deployment, meshAnnotations, NAMESPACE, namespace, SERVICE, service } from "./objects.js";

export interface SetupOptions {
  readonly lab: LabHandle;
  readonly clusters: ReadonlyMap<string, ClusterAccess>;
  /** Requests a second. */
  readonly rate: number;
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

export interface Running {
  readonly log: SampleLog;
  readonly clientNode: string;
  /** Reads the client's output until this signal; rejects never. */
  readonly following: Promise<void>;
}

interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly phase?: string };
}

export async function setUp(options: SetupOptions): Promise<Running> {
  const { lab, clusters, say } = options;
  const names = [...clusters.keys()];
  say(`$ mesh connect ${names.join(" ")}`);
  await Promise.all([
    runMeshCommand(lab, ["connect", ...names], say, options.signal),
    ...[...clusters.values()].map((cluster) => deploy(options, cluster)),
  ]);
  say(`Services ${NAMESPACE}/${SERVICE} become global, affinity local`);
  for (const { client } of clusters.values()) {
    const patch = { metadata: { annotations: meshAnnotations } };
    await client.mergePatch(SERVICES, SERVICE, patch, { namespace: NAMESPACE });
  }
  await runMeshCommand(lab, ["status", "--wait"], say, options.signal);
  return startClient(options);
}

async function deploy({ signal, say }: SetupOptions, { client, plan, slices }: ClusterAccess): Promise<void> {
  const manager = { manager: "demo", force: true };
  await client.apply(NAMESPACES, namespace, manager);
  await client.apply(SERVICES, service, manager);
  await client.apply(DEPLOYMENTS, deployment(plan.name, DEMO_TAG), manager);
  await until(() => slices.current().length === 3, `three ready pods in "${plan.name}"`, 90_000, signal);
  say(`${plan.name}: three replicas are Ready`);
}

async function startClient(options: SetupOptions): Promise<Running> {
  const { clusters, signal, rate, say } = options;
  const near = clusters.get(NEAR);
  if (near === undefined) throw new Error(`Cannot find cluster "${NEAR}" in the lab`);
  const { client, transport } = near;
  const web = await client.get<KubeService>(SERVICES, SERVICE, { namespace: NAMESPACE });
  const target = `${web?.spec?.clusterIP}:80`;
  await removeClient(near, signal);
  await client.create(PODS, clientPod(DEMO_TAG, target, rate));
  const log = createSampleLog();
  const following = followClient(transport, `/api/v1/namespaces/${NAMESPACE}/pods/${CLIENT}`, log, signal);
  await until(() => quiet(log), `three seconds without a loss at ${target}`, 60_000, signal).catch((error: Error) => {
    throw new Error(`${error.message}; ${lastOutcomes(log)}`);
  });
  const pod = await client.get<Pod>(PODS, CLIENT, { namespace: NAMESPACE });
  say(`The client on "${pod?.spec?.nodeName}" makes ${rate} new connections a second to ${target}`);
  return { log, clientNode: pod?.spec?.nodeName ?? "", following };
}

async function removeClient({ client }: ClusterAccess, signal: AbortSignal): Promise<void> {
  const target = { namespace: NAMESPACE };
  const gone = async () => (await client.get(PODS, CLIENT, target)) === undefined;
  await client.delete(PODS, CLIENT, target);
  await until(gone, "the last demo's client to end", 30_000, signal);
}

/** The last three seconds of samples are there and all answered. */
function quiet(log: SampleLog): boolean {
  const rate = log.started()?.rate ?? 100;
  const last = log.samples().slice(-3 * rate);
  return last.length === 3 * rate && last.every((sample) => sample.outcome === "ok");
}

function lastOutcomes(log: SampleLog): string {
  const last = log.samples().slice(-300);
  const words = new Map<string, number>();
  for (const { outcome } of last) words.set(outcome, (words.get(outcome) ?? 0) + 1);
  return last.length === 0 ? "no request yet" : [...words].map(([word, n]) => `${n} ${word}`).join(", ");
}

/** Asks five times a second; throws with `what` when it does not come about in time. */
async function until(holds: () => boolean | Promise<boolean>, what: string, withinMs: number, signal: AbortSignal) {
  const end = monoNow() + withinMs;
  while (!(await holds())) {
    if (monoNow() > end) throw new Error(`Cannot go on: waited ${withinMs / 1000} s for ${what}`);
    await delay(200, signal);
  }
}
