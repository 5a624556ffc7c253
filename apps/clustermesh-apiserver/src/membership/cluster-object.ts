/**
 * Reconciles this cluster's MeshCluster object: creates it when absent, and keeps its ranges and status up to date.
 *
 * The operator owns `spec.store` (`mesh connect` writes it); the apiserver owns the rest of the spec. The epoch of the local
 * source and the last good mesh-config are annotations, so that a backup restores them together with the objects they describe.
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
import { mergeConditions, type Verdict } from "../objects/conditions.js";
import { sameJson } from "../objects/same-json.js";
import { createPeriodicTask } from "../process/periodic-task.js";
import { LAST_GOOD_CONFIG } from "../settings/saved-config.js";

export interface ClusterSpec {
  /** Name of the cluster, which is that of the object. */
  readonly name: string;
  /** The spec of an object with another id is not written: `problem` names both ids. */
  readonly id: number;
  /** Undefined: not known yet. A new object is created only once they are known; an existing one keeps its ranges. */
  readonly podCidrs?: readonly Prefix[];
  /** Undefined while not known, which may be longer than for `podCidrs`. */
  readonly serviceCidrs?: readonly Prefix[];
}

export type ClusterStatus = Omit<NonNullable<MeshCluster["status"]>, "conditions"> & {
  readonly conditions: readonly Verdict[];
};

export interface ClusterObjectModules {
  /** Its transport carries the watch of the object. */
  readonly client: KubeClient;
  /** Its wall clock dates the transitions of conditions. */
  readonly clock: Clock;
  /** Gets the creation of the object, and each new failure. */
  readonly log: Logger;
  /** False while another instance writes the object. */
  readonly mayWrite: () => boolean;
  /** Called at every reconciliation. */
  readonly spec: () => ClusterSpec;
  /** Called at every reconciliation; only fields that differ are written. */
  readonly status: () => ClusterStatus;
  /** The fields of mesh-config that the next start reads, as text; undefined: the annotation is not changed. */
  readonly lastGood: () => string | undefined;
  /** Returns the existing certificate request when it is for this cluster's key, else a new one. */
  readonly storeRequest: (existing: string | undefined, signal: AbortSignal) => Promise<string>;
  /** Called with `spec.store` when first read and at each change; undefined: the field or the object is absent. */
  readonly onStore: (store: StoreSpec | undefined) => void;
}

export interface ClusterObject {
  /** The object as the watch knows it; undefined before the list, and while there is none. */
  readonly current: MeshCluster | undefined;
  /** Why the last reconciliation or the watch failed; undefined when neither did. */
  readonly problem: string | undefined;
  /**
   * Why there is no object, and what to do; undefined when there is one, or another instance is to create it. For a moment after the
   * start and after a deletion there is none either.
   */
  readonly missing: string | undefined;
  /** Reconciles soon: the spec or the status may have changed. */
  trigger(): void;
  /** Reads by quorum; "" without one. An epoch that waits to be written comes first. Rejects with a KubeError. */
  readEpoch(signal: AbortSignal): Promise<string>;
  /** Writes the epoch as soon as this instance may write and Kubernetes accepts it. */
  keepEpoch(epoch: string): void;
  /** Resolves when aborted. Rejects only for an internal error. */
  run(signal: AbortSignal): Promise<void>;
}

const EPOCH = "mesh.isthmus.io/epoch";
/** Conditions are compared this often; nothing is written when nothing changed. */
const EVERY_MS = 2000;

/** `name` is that of the cluster. Nothing is watched or written before `run`. */
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
  const reconciler = createPeriodicTask(
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
    reconciler.trigger();
  }

  async function reconcile(signal: AbortSignal): Promise<void> {
    if (!watch.inSync || !modules.mayWrite()) return;
    const want = modules.spec();
    const existing = watch.items.get(name)?.value ?? (await create(want, signal));
    if (existing === undefined) return;
    // Independent writes: the status must be written even when the spec or the request cannot be.
    const outcomes = await Promise.allSettled([
      writeSpec(existing, want, signal),
      writeStatus(existing, signal),
      writeRequest(existing, signal),
    ]);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  async function create(want: ClusterSpec, signal: AbortSignal): Promise<MeshCluster | undefined> {
    const { podCIDRs, serviceCIDRs } = rangesOf(want);
    if (podCIDRs === undefined || serviceCIDRs === undefined) return undefined;
    const spec = { id: want.id, podCIDRs, serviceCIDRs };
    const lastGood = modules.lastGood();
    const metadata = { name, ...(lastGood === undefined ? {} : { annotations: { [LAST_GOOD_CONFIG]: lastGood } }) };
    try {
      log.info("Creating MeshCluster", { name, id: want.id });
      return await client.create<MeshCluster>(MESH_CLUSTERS, { metadata, spec }, { signal });
    } catch (thrown) {
      const there = hasStatus(thrown, 409) ? await client.get<MeshCluster>(MESH_CLUSTERS, name, { signal }) : undefined;
      if (there === undefined) throw thrown;
      return there;
    }
  }

  async function writeSpec(existing: MeshCluster, want: ClusterSpec, signal: AbortSignal): Promise<void> {
    refuseOtherId(existing, want);
    const spec = rangesOf(want);
    const same =
      sameSet(existing.spec.podCIDRs, spec.podCIDRs) && sameSet(existing.spec.serviceCIDRs, spec.serviceCIDRs);
    const epoch = epochToKeep;
    const lastGood = modules.lastGood();
    const sameLastGood = lastGood === undefined || existing.metadata.annotations?.[LAST_GOOD_CONFIG] === lastGood;
    if (same && sameLastGood && epoch === undefined) return;
    const annotations = {
      ...(epoch === undefined ? {} : { [EPOCH]: epoch }),
      ...(sameLastGood ? {} : { [LAST_GOOD_CONFIG]: lastGood }),
    };
    const patch = { metadata: { annotations }, ...(same ? {} : { spec }) };
    await client.mergePatch(MESH_CLUSTERS, name, patch, { signal });
    if (epoch === epochToKeep) epochToKeep = undefined;
  }

  async function writeStatus(existing: MeshCluster, signal: AbortSignal): Promise<void> {
    const wanted = modules.status();
    const { generation } = existing.metadata;
    const time = new Date(clock.wallMicros() / 1000);
    const conditions = mergeConditions(existing.status?.conditions, wanted.conditions, generation, time);
    await patchStatus(existing, { ...wanted, conditions }, signal);
  }

  async function writeRequest(existing: MeshCluster, signal: AbortSignal): Promise<void> {
    const storeRequest = await modules.storeRequest(existing.status?.storeRequest, signal);
    await patchStatus(existing, { storeRequest }, signal);
  }

  async function patchStatus(existing: MeshCluster, status: MeshCluster["status"], signal: AbortSignal): Promise<void> {
    const there: Readonly<Record<string, unknown>> = { ...existing.status };
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
      return reconciler.problem ?? watch.problem;
    },
    get missing() {
      if (watch.items.has(name) || !modules.mayWrite()) return undefined;
      const failure = reconciler.problem ?? watch.problem;
      if (failure !== undefined)
        return `${failure}; apply deploy/base of this version, which has the kind and the rights`;
      if (!watch.inSync) return "the MeshClusters of Kubernetes have not been read yet";
      const { podCIDRs, serviceCIDRs } = rangesOf(modules.spec());
      if (podCIDRs !== undefined && serviceCIDRs !== undefined) return "it is about to be created";
      return `it is created once the cluster's ${podCIDRs === undefined ? "pod" : "Service"} ranges are known; set "${
        podCIDRs === undefined ? "pod-cidrs" : "service-cidrs"
      }" in mesh-config`;
    },
    trigger: () => reconciler.trigger(),
    async readEpoch(signal) {
      const existing = await client.get<MeshCluster>(MESH_CLUSTERS, name, { signal });
      return epochToKeep ?? epochOf(existing);
    },
    keepEpoch(epoch) {
      epochToKeep = epoch;
      reconciler.trigger();
    },
    async run(signal) {
      await Promise.all([watch.run(signal), reconciler.run(signal)]);
    },
  };
}

/** "" when the object has none. */
export function epochOf(existing: { readonly metadata: ObjectMeta } | undefined): string {
  return existing?.metadata.annotations?.[EPOCH] ?? "";
}

function refuseOtherId(existing: MeshCluster, want: ClusterSpec): void {
  if (existing.spec.id === want.id) return;
  throw new MeshError(
    { code: "CLUSTER_ID_CHANGED", have: existing.spec.id, want: want.id },
    `Cannot use cluster id "${want.id}": MeshCluster "${want.name}" has id "${existing.spec.id}", set "cluster-id" in mesh-config to it`,
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
