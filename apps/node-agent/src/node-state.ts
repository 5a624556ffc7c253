/**
 * Connects everything between the stream and the maps of one node.
 *
 * In: a kernel (real or in memory) with its floors, and snapshots from disk. Out: the core, which takes messages, and
 * the datapath, which follows them.
 */
import { type DatapathPort, MAP_NAMES, type PolicyPort } from "@isthmus/bpf";
import { identityCluster } from "@isthmus/identity";
import type { Clock, ClusterId, ClusterName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type Applied, Kind, type NodeConfig, type Position } from "@isthmus/proto";
import { comparePositions, type HashedRecord } from "@isthmus/records";
import { createEmitter, createRetryTimer, type Emitter, inTurns } from "@isthmus/runtime";
import { type Applier, createApplier } from "./applier.js";
import { createDatapath, type Datapath } from "./datapath/datapath.js";
import type { PodPolicies } from "./datapath/policy/modules.js";
import { openRevisions } from "./datapath/policy/revisions.js";
import { readServices } from "./datapath/services/read-services.js";
import { createMeshState, type MeshState } from "./desired/mesh-state.js";
import { type NodeName, nodeName } from "./desired/nodes/nodes.js";
import { createDesiredState, type DesiredState } from "./desired/services/desired-state.js";
import { createFailureReporter } from "./failure-reporter.js";
import { createRefusedRanges } from "./refused-ranges.js";
import { createSourceEffects } from "./source-effects.js";
import { createSyncCore, type SyncCore, type SyncEffect } from "./sync/core.js";
import { openFloors } from "./sync/floors.js";
import type { Snapshot } from "./sync/snapshot.js";
import type { SourceDelta } from "./sync/source-types.js";

export interface NodeStateOptions {
  /** Kubernetes name of this node. */
  readonly node: string;
  /** Version of this agent, for the Hello. */
  readonly version: string;
  /** Name of the local cluster. */
  readonly cluster: ClusterName;
  /** Real id of the local cluster. */
  readonly clusterId: ClusterId;
  /** True: connects to ClusterIPs that belong to no Service fail at once. False: the programs do not touch them. */
  readonly refuseUnknownClusterIps: boolean;
}

export interface NodeStateModules {
  /** The maps; the caller closes them. */
  readonly port: DatapathPort;
  /** The maps of mode `packets` by which policy is enforced, and the pods of this node; absent: no policy is. */
  readonly enforcement?: { readonly port: PolicyPort; readonly pods: PodPolicies } | undefined;
  /** Times retries and log lines, and stamps what is acknowledged. */
  readonly clock: Clock;
  /** Gets what an operator must know of sources, records and objects that failed. */
  readonly log: Logger;
  /** From disk; those of sources with a floor are ignored, except for the names of the local Services. */
  readonly snapshots: readonly Snapshot[];
  /** What the agent before this one had in force in place of refused policies; absent: nothing. */
  readonly keptPolicies?: readonly HashedRecord[] | undefined;
  /** Called after the maps hold a batch; `acks` is empty if no source has a new position. */
  readonly applied: (acks: readonly Applied[], tookMs: number) => void;
  /** Called after an apply with a NodeConfig of this node. */
  readonly nodeConfig: (config: NodeConfig) => void;
  /** Called after an apply, with the nodes whose records changed; with none if only the sources in sync did. */
  readonly routes: (nodes: Iterable<NodeName>) => void;
  /** Called for a message that was refused or repaired; `clusterId` as on the wire. */
  readonly count: (clusterId: number, event: string) => void;
  /** Called for a record that cannot be read; `clusterId` is the real one. */
  readonly refusedRecord: (clusterId: number) => void;
  /** The maps could not be written; the process must end. */
  readonly failed: (error: unknown) => void;
  /** Stops the timer of retries. */
  readonly signal: AbortSignal;
}

export interface NodeState {
  /** Takes the events of the stream; the caller performs the effects of each. */
  readonly core: SyncCore;
  /** The rows that mesh_frontends must have; only `meshState` changes it. */
  readonly desired: DesiredState;
  /** The records of all sources; only `applier` runs its work. */
  readonly meshState: MeshState;
  /** What the maps have; only `applier` applies it. */
  readonly datapath: Datapath;
  /** Brings the deltas of the core to the maps. */
  readonly applier: Applier;
  /** Performs the core's effects `count`, `behind` and `apply`; ignores the others. */
  perform(effect: SyncEffect): void;
  /** True when every known source has been in sync since the start. */
  complete(): boolean;
  /** The pods of this node; what changes is applied at once. */
  readonly pods: Pick<MeshState["pods"], "attach" | "detach">;
  /** Calls after each apply, and after each step of `core`. */
  readonly changes: Emitter<void>["subscribe"];
}

/** The map of prefixes where there is none. */
const UNENFORCED = { name: MAP_NAMES.ipcachePrefixes, maxEntries: 65_536 };

/** Adopts what the maps hold, then restores the snapshots. Rejects with the error of a map. */
export async function createNodeState(options: NodeStateOptions, modules: NodeStateModules): Promise<NodeState> {
  const { port, enforcement, clock, log, signal } = modules;
  const changes = createEmitter();
  const desired = createDesiredState();
  const datapath = await createDatapath({
    port,
    desired,
    now: () => clock.now(),
    localNode: () => nodeName(options.clusterId, options.node),
    localCluster: options.clusterId,
    ...(enforcement && {
      policy: {
        ...enforcement,
        revisions: openRevisions(enforcement.port.sets),
        desired: {
          get subjects() {
            return meshState.policy.subjects;
          },
          get addresses() {
            return meshState.policy.addresses;
          },
          get prefixes() {
            return meshState.policy.prefixes;
          },
        },
        sync: {
          get localInSync() {
            return meshState.localVerified;
          },
          mayRemove: (identity) => meshState.clustersInSync.has(identityCluster(identity)) || complete(),
        },
      },
    }),
    onRoom: () => applier.kick(),
    onBroken: modules.failed,
    onError: (error) => log.warn("Grace period failed, freeing deferred", { error }),
  });
  const complete = () =>
    [...core.sources.keys()].every((id) => meshState.clustersInSync.has(id === 0 ? options.clusterId : id));
  const floors = openFloors(port.floors);
  for (const clusterId of floors.broken) log.warn("Floor not readable, its source starts without one", { clusterId });
  const core = afterEachStep(
    createSyncCore({
      node: options.node,
      version: options.version,
      floors: new Map(floors.byCluster),
      localClusterId: options.clusterId,
      enforcesPolicies: enforcement !== undefined,
    }),
    () => {
      if (refused.outdated) applier.kick();
      changes.emit();
    },
  );
  const { name, maxEntries } = enforcement?.port.prefixes ?? UNENFORCED;
  const prefixMap = { name, maxEntries };
  const inMaps = datapath.policy?.adoptedNumbers ?? { inUse: new Set<number>(), prefixes: new Map<string, number>() };
  const meshState = createMeshState(
    { ...options, prefixMap, inMaps, kept: modules.keptPolicies ?? [] },
    {
      desired,
      servedClusters: datapath.adoptedClusters,
      // At that time the maps still hold what was found: no Service is written before its name is known.
      served: () => readServices(port.backends, datapath.adopted),
      localServiceRecords: namesAt(floors.byCluster.get(0), modules.snapshots),
      refuse(clusterId, key, error) {
        modules.refusedRecord(clusterId);
        log.warn("Record refused", { clusterId, record: key, error });
      },
    },
  );
  const refused = createRefusedRanges({
    enabled: options.refuseUnknownClusterIps,
    localSource: () => core.sources.get(0),
    ranges: meshState.serviceRanges,
    log,
  });
  const reportFailures = createFailureReporter(log);
  const applier = createApplier({
    ...modules,
    floors,
    meshState,
    datapath,
    refusedRanges: refused.take,
    applied(acks, tookMs) {
      modules.applied(acks, tookMs);
      reportFailures({ errors: [...datapath.status.errors, ...meshState.planErrors, ...meshState.policies.errors] });
      retryAt(datapath.status.nextDue);
      changes.emit();
    },
  });
  // A pod's row may come after its identity.
  enforcement?.pods.onChange(() => applier.kick());
  const retryAt = createRetryTimer({ clock, signal, run: applier.kick });
  const perform = createSourceEffects({ core, meshState, applier, localClusterId: options.clusterId, ...modules });
  const restored: SourceDelta[] = [];
  for (const { clusterId, position, records } of modules.snapshots) {
    const { delta } = await inTurns(core.source(clusterId).restore(records, position));
    if (delta === undefined) continue;
    log.info("Source restored from its disk snapshot, stale until in sync", { clusterId, records: records.length });
    restored.push(delta);
  }
  // Together and last: the caller's modules are called from the next turn on, when it has what this returns.
  for (const delta of restored) perform({ is: "apply", delta });

  return {
    core,
    desired,
    meshState,
    datapath,
    applier,
    perform,
    changes: changes.subscribe,
    pods: {
      attach(pod) {
        meshState.pods.attach(pod);
        applier.kick();
      },
      detach(hostDevice) {
        meshState.pods.detach(hostDevice);
        applier.kick();
      },
    },
    complete,
  };
}

function afterEachStep(core: SyncCore, look: () => void): SyncCore {
  return {
    ...core,
    step(event) {
      const effects = core.step(event);
      look();
      return effects;
    },
  };
}

/**
 * The local cluster's Services from its disk snapshot; none unless the snapshot's position is exactly the floor, since
 * it may be older than what the maps hold.
 */
function namesAt(floor: Position | undefined, snapshots: readonly Snapshot[]): readonly HashedRecord[] {
  const own = snapshots.find(({ clusterId }) => clusterId === 0);
  if (floor === undefined || own === undefined || comparePositions(own.position, floor) !== "equal") return [];
  return own.records.filter(({ kind }) => kind === Kind.KIND_SERVICE || kind === Kind.KIND_SERVICE_CONFIG);
}
