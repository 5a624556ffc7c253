/**
 * Applies deltas to the kernel; deltas that arrive during an apply are applied together by the next one.
 *
 * ```
 *   enqueue(delta) … ──► floors of all sources ──► meshState.take, flush ──► datapath.apply ──► applied(acks)
 * ```
 * The floors are written before the records of their batch, so that a restarted agent never applies an older position.
 * The floor of a removed source is cleared last: while the maps hold its backends, a restarted agent must ask about it.
 * What takes two applies, such as a policy with new prefixes, is acknowledged after the second one.
 */
import type { Clock, Prefix } from "@isthmus/model";
import type { NodeConfig, Applied as WireApplied } from "@isthmus/proto";
import { inTurns, nextTurn, type Slices } from "@isthmus/runtime";
import type { Datapath } from "./datapath/datapath.js";
import type { Changes, MeshState } from "./desired/mesh-state.js";
import type { NodeName } from "./desired/nodes/nodes.js";
import type { Floors } from "./sync/floors.js";
import type { SourceDelta } from "./sync/source-types.js";

export interface ApplierModules {
  /** Monotonic time for how long an apply took, and wall time for `appliedUs` of its acks. */
  readonly clock: Clock;
  /** Written before the records of their deltas; that of a removed source is cleared after them. */
  readonly floors: Floors;
  /** Takes the records. Nothing else may run its `take` or `flush`, whose work must not overlap. */
  readonly meshState: MeshState;
  /** Writes the maps. Nothing else may call its `apply`, one call at a time. */
  readonly datapath: Datapath;
  /** The ranges in which an address without a Service is refused now. */
  readonly refusedRanges: () => readonly Prefix[];
  /** Called after each apply, with the acks of what is in force. */
  readonly applied: (acks: readonly WireApplied[], tookMs: number) => void;
  /** Called after an apply with a NodeConfig of this node. */
  readonly nodeConfig: (config: NodeConfig) => void;
  /** Called when node records, which it names, or the set of sources in sync changed. */
  readonly routes: (nodes: Iterable<NodeName>) => void;
  /** Called at most once, with the error of an apply; nothing is applied any more. */
  readonly failed: (error: unknown) => void;
}

export interface Applier {
  /** Queues a delta for the next apply; those of one source must come in order. */
  enqueue(delta: SourceDelta): void;
  /** Applies without a new delta: a retry is due, something was freed, or the refused ranges change. */
  kick(): void;
  /** Number of queued deltas. */
  readonly waiting: number;
  /** Resolves when no delta is queued and no apply runs. */
  idle(): Promise<void>;
}

/** Applies nothing before the first `enqueue` or `kick`. */
export function createApplier(modules: ApplierModules): Applier {
  const { clock, floors, meshState, datapath } = modules;
  let queue: SourceDelta[] = [];
  let wanted = false;
  let running: Promise<void> | undefined;
  /** An apply failed: nothing is written any more, and a restarted agent reads the maps back. */
  let broken = false;

  /** Removed sources whose floors are not cleared yet. */
  const leaving = new Set<number>();
  /** Applied, but a policy of them is in force only after the next apply: an ack would say that it is enforced. */
  let unacknowledged: readonly SourceDelta[] = [];

  function writeFloors(deltas: readonly SourceDelta[]): void {
    const last = new Map(deltas.map((delta) => [delta.clusterId, delta.floor]));
    for (const [clusterId, floor] of last) {
      if (floor === undefined) leaving.add(clusterId);
      else {
        leaving.delete(clusterId);
        floors.write(clusterId, floor);
      }
    }
  }

  /** Until the local source is in sync, the maps may still hold adopted backends of a removed source. */
  function clearFloors(): void {
    if (!meshState.localVerified) return;
    for (const clusterId of leaving) floors.write(clusterId, undefined);
    leaving.clear();
  }

  function* touch({ nodes, frontends, sweepFrontends, sweepNodes, policy }: Changes): Slices<void> {
    for (const node of nodes) {
      datapath.touch({ nodes: [node] });
      yield;
    }
    for (const frontend of frontends) {
      datapath.touch({ frontends: [frontend] });
      yield;
    }
    datapath.touch({ sweepFrontends, sweepNodes, policy });
  }

  async function applyOnce(deltas: readonly SourceDelta[]): Promise<void> {
    const started = clock.now();
    writeFloors(deltas);
    await inTurns(meshState.take(deltas));
    const changes = await inTurns(meshState.flush());
    await inTurns(touch(changes));
    datapath.touch({ serviceRanges: modules.refusedRanges() });
    await datapath.apply();
    clearFloors();
    const { again } = changes.policy;
    const inForce = again ? unacknowledged : [...unacknowledged, ...deltas];
    unacknowledged = again ? deltas : [];
    modules.applied(acksOf(inForce, clock.wallMicros()), clock.now() - started);
    wanted ||= again;
    if (changes.nodeConfig !== undefined) modules.nodeConfig(changes.nodeConfig);
    if (changes.routes) modules.routes(changes.nodes.keys());
  }

  async function loop(): Promise<void> {
    while (wanted || queue.length > 0) {
      wanted = false;
      const deltas = queue;
      queue = [];
      await applyOnce(deltas);
    }
  }

  function start(): void {
    if (running !== undefined || broken) return;
    // Wait one turn of the event loop, so that deltas that arrive together are applied together.
    running = nextTurn()
      .then(loop)
      .catch((error: unknown) => {
        broken = true;
        modules.failed(error);
      })
      .finally(() => {
        running = undefined;
        if (wanted || queue.length > 0) start();
      });
  }

  return {
    enqueue(delta) {
      queue.push(delta);
      start();
    },
    kick() {
      wanted = true;
      start();
    },
    get waiting() {
      return queue.length;
    },
    async idle() {
      while (running !== undefined) await running;
    },
  };
}

/** One per source with a whole delta: the position of its last one, and the oldest observation time of all of them. */
function acksOf(deltas: readonly SourceDelta[], appliedMicros: number): readonly WireApplied[] {
  const acks = new Map<number, WireApplied>();
  for (const { clusterId, floor, observedUs, whole } of deltas) {
    if (floor === undefined || !whole) continue;
    const before = acks.get(clusterId)?.observedUs ?? 0n;
    const oldest = before === 0n || (observedUs !== 0n && observedUs < before) ? observedUs : before;
    acks.set(clusterId, { clusterId, position: floor, observedUs: oldest, appliedUs: BigInt(appliedMicros) });
  }
  return [...acks.values()];
}
