/** Runs `mesh connect`: facts, preflight, plan, steps. Prints nothing; findings and steps are in its result. */
import type { KubeClient } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import type { Context } from "../access/context.js";
import { applySteps } from "./apply.js";
import { type ClusterFacts, type GatherOptions, gatherCluster } from "./facts/cluster-facts.js";
import { gatherStore, openStore } from "./facts/store-facts.js";
import type { StoreFile } from "./facts/store-file.js";
import { type Member, planConnect, type Step } from "./plan.js";
import { preflight } from "./preflight.js";
import { type ConnectResult, toChange } from "./report.js";
import { hasStoreUser } from "./store-users.js";

export interface ConnectOptions extends Pick<GatherOptions, "patienceMs" | "signal" | "admin"> {
  /** Finds and plans as always, writes nothing. */
  readonly dryRun: boolean;
  /** Compared with the versions of the clusters. */
  readonly cliVersion: string;
  /** Called with the findings before anything is written. */
  readonly onFindings: (findings: ConnectResult["findings"]) => void;
}

export interface Connected {
  /** For -o json. */
  readonly result: ConnectResult;
  /** The whole plan, also of what was not done; empty when a finding failed. */
  readonly steps: readonly Step[];
  /** Why it stopped before all steps were done. */
  readonly failure?: MeshError;
}

/** Throws nothing of a cluster or the store: that is a finding, or the `failure`. */
export async function connectClusters(
  contexts: readonly Context[],
  file: StoreFile,
  options: ConnectOptions,
): Promise<Connected> {
  const gathering = { endpoints: file.endpoints, ca: file.authority.certificate, ...options };
  const [store, ...clusters] = await Promise.all([
    gatherStore(file, options.signal),
    ...contexts.map((context) => gatherCluster(context, gathering)),
  ]);
  const findings = preflight({ clusters, store, cliVersion: options.cliVersion });
  options.onFindings(findings);
  const bare = { dryRun: options.dryRun, connected: false, changed: false, findings, changes: [] };
  if (findings.some(({ status }) => status === "fail")) return { result: bare, steps: [] };
  return write(contexts, clusters, file, { bare, signal: options.signal });
}

async function write(
  contexts: readonly Context[],
  clusters: readonly ClusterFacts[],
  file: StoreFile,
  { bare, signal }: { readonly bare: ConnectResult; readonly signal: AbortSignal },
): Promise<Connected> {
  const owner = openStore(file, signal);
  const done: Step[] = [];
  let steps: readonly Step[] = [];
  let failure: MeshError | undefined;
  try {
    const members = await Promise.all(
      clusters.map(async ({ context, cluster, peers }): Promise<Member | undefined> => {
        if (cluster === undefined) return undefined;
        const hasUser = await hasStoreUser(owner, file.path, cluster.metadata.name ?? "", cluster.spec.id);
        return { context, cluster, peers, hasUser };
      }),
    );
    steps = await planConnect(
      members.filter((member) => member !== undefined),
      file,
      new Date(),
    );
    const ports = {
      client: clientOf(contexts),
      store: owner,
      storeFile: file.path,
      onDone: (step: Step) => done.push(step),
    };
    if (!bare.dryRun) await applySteps(steps, ports);
  } catch (thrown) {
    failure = MeshError.from(thrown);
  } finally {
    owner.close();
  }
  const changes = (bare.dryRun ? steps : done).map((step) => toChange(step, !bare.dryRun));
  const open = steps.some(({ action }) => action !== "keep");
  const connected = failure === undefined && (!bare.dryRun || !open);
  const changed = !bare.dryRun && done.some(({ action }) => action !== "keep");
  return { result: { ...bare, connected, changed, changes }, steps, ...(failure === undefined ? {} : { failure }) };
}

function clientOf(contexts: readonly Context[]): (name: string) => KubeClient {
  const clients = new Map(contexts.map(({ name, client }) => [name, client]));
  return (name) => {
    const client = clients.get(name);
    if (client === undefined) throw new MeshError({ code: "CONTEXT", name }, `Cannot find context "${name}"`);
    return client;
  };
}
