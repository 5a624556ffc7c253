/**
 * The state machine of one source over the stream's messages. Pure: no clock, no I/O.
 *
 * ```
 *   Empty ──first sync──► Loading ──last──► Verifying ─mark agrees─► InSync ◄──────────────┐
 *     ▲                     ▲                  │ differs               │ gap, mark differs  │ buckets
 *   removed               snapshot again       └──────────────────► Repairing ──────────────┘
 * ```
 * It emits `SourceDelta`s: the changes to apply, and the floor to write before them. Unless it was restored from disk,
 * it emits nothing until it is in sync for the first time (placeholder records from the kernel are served meanwhile);
 * then it emits everything at once. A record that the server does not name is deleted only after a mark or a bucket
 * verified that.
 */
import {
  type Batch,
  type Bucket,
  type Kind,
  type Mark,
  PeerState,
  type Position,
  type SourceState,
} from "@isthmus/proto";
import {
  comparePositions,
  differingKinds,
  exportedKinds,
  type HashedRecord,
  isAtMost,
  isPositionOf,
  KINDS,
  sameBytes,
} from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";
import { createExchange } from "./exchange.js";
import { type AcceptedRecords, createReceivedRecords, type ReceivedRecords } from "./received-records.js";
import { asWhole, deltaTo, mergeSteps } from "./source-steps.js";
import type { Source, SourceEvent, SourceOptions, SourcePhase, SourceStep } from "./source-types.js";

/** Most repairs per stream. A repair recomputes sums and may fetch everything; a stream without faults needs none. */
const MAX_REPAIRS = 8;
const NOTHING: SourceStep = {};
const EMPTY: AcceptedRecords = { upserts: [], deletes: [], events: [] };

/** In phase Empty, without a name. */
export function createSource(options: SourceOptions): Source {
  return new SourceMachine(options);
}

class SourceMachine implements Source {
  readonly clusterId: number;
  name = "";
  phase: SourcePhase = "Empty";
  status = PeerState.PEER_STATE_UNSPECIFIED;
  behind = false;
  exported: ReadonlySet<Kind> | undefined;
  live = false;
  wasInSync = false;
  floor: Position | undefined;
  have: Position | undefined;
  #received: ReceivedRecords = createReceivedRecords();
  /** The position that the records have once the first sync or repair under way is complete. */
  #at: Position | undefined;
  /** Used in phase Repairing. */
  readonly #exchange = createExchange((kind) => this.#received.sums(this.clusterId, kind));
  #mark: Mark | undefined;
  /** Number of repairs that began on this stream. */
  #repairs = 0;
  /** A delta with `transition: "first"` was emitted. */
  #announced = false;

  constructor({ clusterId, floor }: SourceOptions) {
    this.clusterId = clusterId;
    this.floor = floor;
  }

  get table() {
    return this.#received.table;
  }

  state(message: SourceState): SourceStep {
    if (message.status === PeerState.PEER_STATE_REMOVED) return this.#remove();
    if (message.cluster !== "") this.name = message.cluster;
    this.status = message.status;
    if (message.behind === this.behind) return NOTHING;
    this.behind = message.behind;
    return { behind: message.behind };
  }

  batch(message: Batch): SourceStep {
    const { to, from } = message;
    if (!isPositionOf(this.clusterId, to)) return { events: ["malformed-position"] };
    if (this.#isOld(to)) return { events: ["below-floor"] };
    if (from === undefined) return this.#load(message, to);
    if (this.phase === "Repairing") return this.#take(message, to);
    const expected = this.phase === "Verifying" ? this.#at : this.phase === "InSync" ? this.have : undefined;
    if (expected === undefined || comparePositions(expected, from) !== "equal") return this.#repair(KINDS, ["gap"]);
    const step = this.#take(message, to);
    if (this.phase === "InSync") this.have = to;
    return step;
  }

  mark(message: Mark): SourceStep {
    const { position } = message;
    if (!isPositionOf(this.clusterId, position)) return { events: ["malformed-position"] };
    if (this.#isOld(position)) return { events: ["below-floor"] };
    this.#mark = message;
    this.exported = exportedKinds(message.sums);
    if (this.phase === "Verifying") return this.#verify(message, position);
    if (this.phase === "InSync") return this.#compare(message, position);
    return NOTHING;
  }

  bucket(message: Bucket): SourceStep {
    const { position, kind } = message;
    if (this.phase !== "Repairing") return NOTHING;
    if (!isPositionOf(this.clusterId, position)) return { events: ["malformed-position"] };
    if (!this.#exchange.awaits(kind)) return { events: ["bad-bucket"] };
    if (this.#isOld(position))
      return message.last ? this.#askAgain([kind], "below-floor") : { events: ["below-floor"] };
    const taken = this.#received.bucket(message);
    this.#at = position;
    const step = this.#emit(taken, position, 0n);
    if (!message.last) return step;
    const buckets = this.#exchange.next();
    return buckets === undefined ? this.#repaired(step, position) : { ...step, buckets };
  }

  reconnect(): void {
    if (this.phase === "Loading" || this.phase === "Verifying" || this.phase === "Repairing") {
      this.phase = this.table.size === 0 ? "Empty" : "InSync";
      this.have = undefined;
    }
    this.#received.endSync();
    this.#exchange.end();
    this.#repairs = 0;
    this.#mark = undefined;
    this.behind = false;
  }

  *restore(records: Iterable<HashedRecord>, position: Position): Slices<SourceStep> {
    if (this.floor !== undefined || this.table.size > 0 || !isPositionOf(this.clusterId, position)) return NOTHING;
    yield* this.#received.restore(records);
    this.have = position;
    this.live = true;
    this.phase = "InSync";
    this.floor = position;
    return { delta: { ...deltaTo(this.clusterId, position, 0n), upserts: this.#received.all() } };
  }

  #isOld(position: Position): boolean {
    const { floor } = this;
    return floor !== undefined && sameBytes(floor.storeId, position.storeId) && !isAtMost(floor, position);
  }

  /** any -> Loading -> Verifying */
  #load(message: Batch, to: Position): SourceStep {
    if (this.phase !== "Loading") {
      this.phase = "Loading";
      this.have = undefined;
      this.#exchange.end();
      this.#received.beginNaming();
    }
    if (message.last) this.phase = "Verifying";
    return this.#take(message, to);
  }

  /** Takes the records of a batch, in any phase. */
  #take(message: Batch, to: Position): SourceStep {
    this.#at = to;
    return this.#emit(this.#received.batch(message), to, message.observedUs);
  }

  /** Verifying -> InSync | Repairing */
  #verify(mark: Mark, position: Position): SourceStep {
    if (this.#at === undefined || comparePositions(this.#at, position) !== "equal") return NOTHING;
    const unnamed = this.#received.removeUnnamed(exportedKinds(mark.sums));
    const wrong = this.#differing(mark);
    if (wrong.length > 0) {
      this.#received.putBack(unnamed);
      return this.#repair(wrong, ["mark-mismatch"]);
    }
    const deletes = this.#received.namesOf(unnamed).reverse();
    const events: SourceEvent[] = unnamed.length > 0 ? ["unnamed-deleted"] : [];
    return this.#inSync(position, this.#emit({ ...EMPTY, deletes, events }, position, 0n));
  }

  /** A mark at this source's position must agree; a mark of a later position shows which kinds to fetch. */
  #compare(mark: Mark, position: Position): SourceStep {
    const order = this.have === undefined ? "newer" : comparePositions(position, this.have);
    if (order !== "equal" && order !== "newer") return NOTHING;
    const wrong = this.#differing(mark);
    if (wrong.length > 0) return this.#repair(wrong, order === "equal" ? ["mark-mismatch"] : []);
    return this.#inSync(position, order === "equal" ? NOTHING : this.#emit(EMPTY, position, 0n));
  }

  #differing(mark: Mark): Kind[] {
    return differingKinds(mark.sums, this.table.sums(KINDS));
  }

  /** any -> Repairing; after `MAX_REPAIRS` the stream is closed, and the client's back-off delays the next one. */
  #repair(kinds: readonly Kind[], events: readonly SourceEvent[]): SourceStep {
    this.phase = "Repairing";
    this.have = undefined;
    this.#received.endSync();
    if (++this.#repairs > MAX_REPAIRS) return { events, reopenStream: true };
    return { buckets: this.#exchange.begin(kinds), events };
  }

  /** Repairing -> InSync, unless the last mark has this same position and still differs. */
  #repaired(step: SourceStep, position: Position): SourceStep {
    const mark = this.#mark;
    const comparable = mark?.position !== undefined && comparePositions(mark.position, position) === "equal";
    const wrong = mark !== undefined && comparable ? this.#differing(mark) : [];
    if (wrong.length > 0) return mergeSteps(step, this.#askAgain(wrong, "repair-failed"));
    return this.#inSync(position, step);
  }

  /** Repairing -> Repairing; ends the stream when the exchange has used all its tries. */
  #askAgain(kinds: readonly Kind[], event: SourceEvent): SourceStep {
    const buckets = this.#exchange.again(kinds);
    return buckets === undefined ? { events: [event], reopenStream: true } : { events: [event], buckets };
  }

  /** any -> InSync */
  #inSync(position: Position, step: SourceStep): SourceStep {
    this.phase = "InSync";
    this.have = position;
    this.wasInSync = true;
    this.#received.endSync();
    this.#exchange.end();
    if (this.live && this.#announced) return asWhole(step);
    this.#announced = true;
    this.live = true;
    this.floor = position;
    const all = { ...deltaTo(this.clusterId, position, step.delta?.observedUs ?? 0n), upserts: this.#received.all() };
    return { ...step, delta: { ...all, deletes: step.delta?.deletes ?? [], transition: "first" } };
  }

  #remove(): SourceStep {
    const deletes = this.#received.namesOf(this.table.records()).reverse();
    Object.assign(this, { phase: "Empty", live: false, wasInSync: false, floor: undefined, have: undefined });
    this.#received = createReceivedRecords();
    this.#announced = false;
    this.status = PeerState.PEER_STATE_REMOVED;
    const { clusterId } = this;
    return {
      delta: { clusterId, upserts: [], deletes, floor: undefined, observedUs: 0n, whole: true, transition: "removed" },
    };
  }

  /** Nothing goes downstream before the source is live. */
  #emit({ upserts, deletes, events }: AcceptedRecords, position: Position, observedUs: bigint): SourceStep {
    if (!this.live) return { events };
    this.floor = position;
    const whole = this.phase === "InSync";
    return { delta: { ...deltaTo(this.clusterId, position, observedUs), upserts, deletes, whole }, events };
  }
}
