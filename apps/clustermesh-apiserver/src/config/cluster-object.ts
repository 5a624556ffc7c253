/**
 * This cluster's MeshCluster object: made when absent, its ranges kept as configured, its status kept true.
 *
 * `spec.store` is the operator's (`mesh connect` writes it); everything else of the spec is ours. The epoch of the local source
 * and the last good mesh-config are annotations, so that they are restored together with what they describe.
 */
import {
  createListWatch,
  hasStatus,
  type KubeClient,
  MESH_CLUSTERS,
  type MeshCluster,
  type ObjectMeta,
  type StoreSpec,
} from "@isthmus/kube";
import { type Clock, formatPrefix, MeshError, type Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { mergeConditions, type Verdict } from "./conditions.js";
import { createPeriodicTask } from "./periodic-task.js";
import { sameJson } from "./same-json.js";
import { LAST_GOOD_CONFIG } from "./saved-config.js";

export interface ClusterSpec {
  readonly name: string;
  readonly id: number;
  /** Undefined: not known yet; a new object waits for them, an existing one keeps its own. */
  readonly podCidrs?: readonly Prefix[];
  readonly serviceCidrs?: readonly Prefix[];
}

export type ClusterStatus = Omit<NonNullable<MeshCluster["status"]>, "conditions"> & {
  readonly conditions: readonly Verdict[];
};

export interface ClusterObjectModules {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** False while another instance writes the object. */
  readonly mayWrite: () => boolean;
  readonly spec: () => ClusterSpec;
  readonly status: () => ClusterStatus;
  /** The fields of mesh-config that the next start reads, as text; undefined: the annotation stays as it is. */
  readonly lastGood: () => string | undefined;
  /** A fresh certificate request: asked for when the object holds none for our key. */
  readonly storeRequest: (held: string | undefined, signal: AbortSignal) => Promise<string>;
  readonly onStore: (store: StoreSpec | undefined) => void;
}

export interface ClusterObject {
  readonly current: MeshCluster | undefined;
  readonly problem: string | undefined;
  /** The spec or the status may have changed. */
  trigger(): void;
  readEpoch(signal: AbortSignal): Promise<string>;
  keepEpoch(epoch: string): void;
  run(signal: AbortSignal): Promise<void>;
}

const EPOCH = "mesh.isthmus.io/epoch";
/** Conditions are looked at this often; nothing is written when nothing changed. */
const EVERY_MS = 2000;

export function createClusterObject(name: string, modules: ClusterObjectModules): ClusterObject {
  const { client, clock, log } = modules;
  let epochToKeep: string | undefined;
  let store = "";

  const watch = createListWatch<MeshCluster>(
    {
      resource: MESH_CLUSTERS,
      fieldSelector: `metadata.name=${name}`,
      project: (object) => ({ ...(object as MeshCluster), metadata: slim(object.metadata) }),
    },
    { transport: client.transport, clock, log, onChange: changed },
  );
  const keeper = createPeriodicTask(
    { name: `MeshCluster ${name}`, everyMs: EVERY_MS, task: reconcile },
    { clock, log },
  );

  function changed(): void {
    const spec = watch.items.get(name)?.value.spec.store;
    const text = JSON.stringify(spec ?? null);
    if (text !== store) {
      store = text;
      modules.onStore(spec);
    }
    keeper.trigger();
  }

  async function reconcile(signal: AbortSignal): Promise<void> {
    if (!watch.inSync || !modules.mayWrite()) return;
    const want = modules.spec();
    const held = watch.items.get(name)?.value ?? (await create(want, signal));
    if (held === undefined) return;
    // Independent of each other: the status must be written when the spec or the request cannot be.
    const kept = await Promise.allSettled([
      keepSpec(held, want, signal),
      keepStatus(held, signal),
      keepRequest(held, signal),
    ]);
    for (const outcome of kept) if (outcome.status === "rejected") throw outcome.reason;
  }

  async function create(want: ClusterSpec, signal: AbortSignal): Promise<MeshCluster | undefined> {
    const { podCIDRs, serviceCIDRs } = rangesOf(want);
    if (podCIDRs === undefined || serviceCIDRs === undefined) return undefined;
    const spec = { id: want.id, podCIDRs, serviceCIDRs };
    const lastGood = modules.lastGood();
    const metadata = { name, ...(lastGood === undefined ? {} : { annotations: { [LAST_GOOD_CONFIG]: lastGood } }) };
    try {
      log.info("Making MeshCluster", { name, id: want.id });
      return await client.create<MeshCluster>(MESH_CLUSTERS, { metadata, spec }, { signal });
    } catch (thrown) {
      const there = hasStatus(thrown, 409) ? await client.get<MeshCluster>(MESH_CLUSTERS, name, { signal }) : undefined;
      if (there === undefined) throw thrown;
      return there;
    }
  }

  async function keepSpec(held: MeshCluster, want: ClusterSpec, signal: AbortSignal): Promise<void> {
    refuseOtherId(held, want);
    const spec = rangesOf(want);
    const same = sameSet(held.spec.podCIDRs, spec.podCIDRs) && sameSet(held.spec.serviceCIDRs, spec.serviceCIDRs);
    const epoch = epochToKeep;
    const lastGood = modules.lastGood();
    const kept = lastGood === undefined || held.metadata.annotations?.[LAST_GOOD_CONFIG] === lastGood;
    if (same && kept && epoch === undefined) return;
    const annotations = {
      ...(epoch === undefined ? {} : { [EPOCH]: epoch }),
      ...(kept ? {} : { [LAST_GOOD_CONFIG]: lastGood }),
    };
    const patch = { metadata: { annotations }, ...(same ? {} : { spec }) };
    await client.mergePatch(MESH_CLUSTERS, name, patch, { signal });
    if (epoch === epochToKeep) epochToKeep = undefined;
  }

  async function keepStatus(held: MeshCluster, signal: AbortSignal): Promise<void> {
    const wanted = modules.status();
    const { generation } = held.metadata;
    const time = new Date(clock.wallMicros() / 1000);
    const conditions = mergeConditions(held.status?.conditions, wanted.conditions, generation, time);
    await patchStatus(held, { ...wanted, conditions }, signal);
  }

  async function keepRequest(held: MeshCluster, signal: AbortSignal): Promise<void> {
    const storeRequest = await modules.storeRequest(held.status?.storeRequest, signal);
    await patchStatus(held, { storeRequest }, signal);
  }

  async function patchStatus(held: MeshCluster, status: MeshCluster["status"], signal: AbortSignal): Promise<void> {
    const there: Readonly<Record<string, unknown>> = { ...held.status };
    const differing = Object.entries(status ?? {}).filter(([field, value]) => !sameJson(there[field], value));
    if (differing.length === 0 || !modules.mayWrite()) return;
    const patch = { status: Object.fromEntries(differing) };
    await client.mergePatch(MESH_CLUSTERS, name, patch, { subresource: "status", signal });
  }

  return {
    get current() {
      return watch.items.get(name)?.value;
    },
    get problem() {
      return keeper.problem ?? watch.problem;
    },
    trigger: () => keeper.trigger(),
    async readEpoch(signal) {
      const held = await client.get<MeshCluster>(MESH_CLUSTERS, name, { signal });
      return epochToKeep ?? epochOf(held);
    },
    keepEpoch(epoch) {
      epochToKeep = epoch;
      keeper.trigger();
    },
    async run(signal) {
      await Promise.all([watch.run(signal), keeper.run(signal)]);
    },
  };
}

/** "" when none was kept. */
export function epochOf(held: { readonly metadata: ObjectMeta } | undefined): string {
  return held?.metadata.annotations?.[EPOCH] ?? "";
}

function refuseOtherId(held: MeshCluster, want: ClusterSpec): void {
  if (held.spec.id === want.id) return;
  throw new MeshError(
    { code: "CLUSTER_ID_CHANGED", have: held.spec.id, want: want.id },
    `Cannot use cluster id "${want.id}": MeshCluster "${want.name}" has id "${held.spec.id}", set "cluster-id" in mesh-config to it`,
  );
}

function slim({ name, generation, annotations, uid, resourceVersion }: ObjectMeta): ObjectMeta {
  return { ...{ name, generation, annotations, uid, resourceVersion } } as ObjectMeta;
}

/** The ranges that are known. */
function rangesOf({
  podCidrs,
  serviceCidrs,
}: ClusterSpec): Partial<Pick<MeshCluster["spec"], "podCIDRs" | "serviceCIDRs">> {
  return {
    ...(podCidrs && { podCIDRs: podCidrs.map(formatPrefix) }),
    ...(serviceCidrs && { serviceCIDRs: serviceCidrs.map(formatPrefix) }),
  };
}

function sameSet(a: readonly string[], b: readonly string[] = a): boolean {
  return [...a].sort().join() === [...b].sort().join();
}
