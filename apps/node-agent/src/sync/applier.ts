/**
 * From deltas to the kernel: many messages become one apply.
 *
 * ```
 *   enqueue(delta) … ──► floors of all sources ──► world.take, flush ──► datapath.apply ──► done(acks)
 * ```
 * The floors are written before anything of a batch is applied, so that whoever comes after us never applies less. The
 * floor of a removed source goes last: as long as the maps hold its backends, the next agent must ask about it.
 */
import type { Clock, Prefix } from "@isthmus/model";
import type { NodeConfig, Applied as WireApplied } from "@isthmus/proto";
import type { Datapath } from "../datapath/datapath.js";
import type { MeshState, Slices } from "../desired/mesh-state.js";
import type { Floors } from "./floors.js";
import type { SourceDelta } from "./source-types.js";

export interface ApplierModules {
  readonly clock: Clock;
  readonly floors: Floors;
  readonly world: MeshState;
  readonly datapath: Datapath;
  /** The ranges in which an address without a Service is refused now. */
  readonly refusedRanges: () => readonly Prefix[];
  /** After the maps hold it. */
  readonly applied: (acks: readonly WireApplied[], tookMs: number) => void;
  readonly nodeConfig: (config: NodeConfig) => void;
  /** Node records changed, or who is in sync. */
  readonly routes: () => void;
  readonly failed: (error: unknown) => void;
}

export interface Applier {
  enqueue(delta: SourceDelta): void;
  /** Applies again although nothing came: something failed is due. */
  kick(): void;
  /** Deltas that wait. */
  readonly waiting: number;
  /** Resolves when nothing waits and nothing is being applied. */
  idle(): Promise<void>;
}

export function createApplier(modules: ApplierModules): Applier {
  const { clock, floors, world, datapath } = modules;
  let queue: SourceDelta[] = [];
  let wanted = false;
  let running: Promise<void> | undefined;
  /** After a failure half way nothing is written any more: a fresh agent reads what there is. */
  let broken = false;

  /** Sources that were removed, whose floors stand. */
  const leaving = new Set<number>();

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

  /** Without the local source nothing is known to have left the maps. */
  function clearFloors(): void {
    if (!world.localVerified) return;
    for (const clusterId of leaving) floors.write(clusterId, undefined);
    leaving.clear();
  }

  async function applyOnce(deltas: readonly SourceDelta[]): Promise<void> {
    const started = clock.now();
    writeFloors(deltas);
    await inTurns(world.take(deltas));
    const changes = await inTurns(world.flush());
    for (const [name, node] of changes.nodes) datapath.setNode(name, node);
    datapath.touch(changes.frontends);
    datapath.setServiceRanges(modules.refusedRanges());
    if (changes.sweepFrontends) datapath.sweepFrontends();
    for (const cluster of changes.sweepNodes) datapath.sweepNodes(cluster);
    await datapath.apply();
    clearFloors();
    modules.applied(acksOf(deltas, clock.wallMicros()), clock.now() - started);
    if (changes.nodeConfig !== undefined) modules.nodeConfig(changes.nodeConfig);
    if (changes.routes) modules.routes();
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
    // One turn of the event loop later: what arrived together is applied together.
    running = new Promise<void>((resolve) => setImmediate(resolve))
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

/** Runs work slice by slice, with a turn of the event loop between them. */
async function inTurns<T>(work: Slices<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** One per source that is whole at some position: the last such, and the oldest observation that came with it. */
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
