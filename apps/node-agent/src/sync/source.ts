/**
 * One source as this agent holds it: a state machine over the stream's messages. Pure: no clock, no I/O.
 *
 * ```
 *   Empty ──first sync──► Loading ──last──► Proving ──mark agrees──► InSync ◄──────────────┐
 *     ▲                     ▲                  │ differs               │ gap, mark differs  │ buckets
 *   removed               snapshot again       └──────────────────► Repairing ──────────────┘
 * ```
 * What it emits is a `SourceDelta`: what shall be applied, and the floor that is written before. Until it is in sync for
 * the first time it emits nothing (the kernel's own share stands in for it); then everything at once. Nothing is
 * deleted for not being named except after a mark, or a bucket, that proves it.
 */
import {
  type Batch,
  type Bucket,
  type Kind,
  type Mark,
  type Position,
  type SourceState,
  SourceStatus,
} from "@isthmus/proto";
import {
  bucketOf,
  comparePositions,
  createRecordTable,
  type HashedRecord,
  hashRecord,
  isAtMost,
  KINDS,
  sameBytes,
} from "@isthmus/records";
import { bucketSums, differingKinds } from "./record-sums.js";
import type {
  RecordName,
  Source,
  SourceDelta,
  SourceEvent,
  SourceOptions,
  SourcePhase,
  SourceStep,
} from "./source-types.js";

const NOTHING: SourceStep = {};

export function createSource(options: SourceOptions): Source {
  return new SourceMachine(options);
}

class SourceMachine implements Source {
  readonly clusterId: number;
  name = "";
  phase: SourcePhase = "Empty";
  status = SourceStatus.SOURCE_STATUS_UNSPECIFIED;
  behind = false;
  live = false;
  proven = false;
  floor: Position | undefined;
  have: Position | undefined;
  table = createRecordTable();
  /** Loading, Proving: keys that the first sync has not named. */
  #unnamed = new Set<string>();
  /** The position that the records will be at when what is under way has ended. */
  #at: Position | undefined;
  /** Repairing: kinds whose buckets are awaited. */
  #awaited = new Set<Kind>();
  #mark: Mark | undefined;
  #repairs = 0;

  constructor({ clusterId, floor }: SourceOptions) {
    this.clusterId = clusterId;
    this.floor = floor;
  }

  state(message: SourceState): SourceStep {
    if (message.status === SourceStatus.SOURCE_STATUS_REMOVED) return this.#remove();
    if (message.cluster !== "") this.name = message.cluster;
    this.status = message.status;
    this.behind = message.behind;
    return NOTHING;
  }

  batch(message: Batch): SourceStep {
    const { to, from } = message;
    if (to === undefined) return { events: ["malformed-position"] };
    if (this.#isOld(to)) return { events: ["below-floor"] };
    if (from === undefined) return this.#load(message, to);
    if (this.phase === "Repairing") return this.#take(message, to);
    const expected = this.phase === "Proving" ? this.#at : this.phase === "InSync" ? this.have : undefined;
    if (expected === undefined || comparePositions(expected, from) !== "equal") return this.#repair(KINDS, ["gap"]);
    const step = this.#take(message, to);
    if (this.phase === "InSync") this.have = to;
    return step;
  }

  mark(message: Mark): SourceStep {
    const { position } = message;
    if (position === undefined) return { events: ["malformed-position"] };
    if (this.#isOld(position)) return { events: ["below-floor"] };
    this.#mark = message;
    if (this.phase === "Proving") return this.#prove(message, position);
    if (this.phase === "InSync") return this.#compare(message, position);
    return NOTHING;
  }

  bucket(message: Bucket): SourceStep {
    const { position, kind, index } = message;
    if (position === undefined || this.phase !== "Repairing") return NOTHING;
    if (this.#isOld(position)) return { events: ["below-floor"] };
    const named = new Set(message.records.map(({ key }) => key));
    const gone: RecordName[] = [];
    for (const record of this.table.records(kind)) {
      if (!named.has(record.key) && bucketOf(record.key) === index) gone.push({ kind, key: record.key });
    }
    const upserts = this.#put(message.records);
    for (const { key } of gone) this.#drop(key);
    this.#at = position;
    if (message.last) this.#awaited.delete(kind);
    const delta = this.#delta(upserts, gone, position, 0n);
    return this.#awaited.size > 0 ? { ...delta } : this.#repaired(delta, position);
  }

  reconnect(): void {
    if (this.phase === "Loading" || this.phase === "Proving" || this.phase === "Repairing") {
      this.phase = this.table.size === 0 ? "Empty" : "InSync";
      this.have = undefined;
    }
    this.#unnamed.clear();
    this.#awaited.clear();
    this.behind = false;
  }

  restore(records: Iterable<HashedRecord>, position: Position): SourceStep {
    if (this.floor !== undefined || this.table.size > 0) return NOTHING;
    for (const record of records) this.table.set(record);
    this.have = position;
    this.live = true;
    this.phase = "InSync";
    this.floor = position;
    return { delta: { ...this.#base(position, 0n), upserts: [...this.table.records()] } };
  }

  #isOld(position: Position): boolean {
    const { floor } = this;
    return floor !== undefined && sameBytes(floor.storeId, position.storeId) && !isAtMost(floor, position);
  }

  /** any -> Loading -> Proving */
  #load(message: Batch, to: Position): SourceStep {
    if (this.phase !== "Loading") {
      this.phase = "Loading";
      this.have = undefined;
      this.#awaited.clear();
      this.#unnamed = new Set([...this.table.records()].map(({ key }) => key));
    }
    for (const { key } of message.upserts) this.#unnamed.delete(key);
    if (message.last) this.phase = "Proving";
    return this.#take(message, to);
  }

  /** Records of a batch, in whatever phase. */
  #take(message: Batch, to: Position): SourceStep {
    const upserts = this.#put(message.upserts);
    for (const { key } of message.upserts) this.#unnamed.delete(key);
    const deletes = message.deletes.filter(({ key }) => this.#drop(key));
    this.#at = to;
    return this.#delta(upserts, deletes, to, message.observedUs);
  }

  /** Proving -> InSync | Repairing */
  #prove(mark: Mark, position: Position): SourceStep {
    if (this.#at === undefined || comparePositions(this.#at, position) !== "equal") return NOTHING;
    const gone: HashedRecord[] = [];
    for (const key of this.#unnamed) {
      const record = this.table.delete(key);
      if (record !== undefined) gone.push(record);
    }
    const wrong = differingKinds(this.table, mark);
    if (wrong.length > 0) {
      for (const record of gone) this.table.set(record);
      return this.#repair(wrong, ["mark-mismatch"]);
    }
    this.#unnamed.clear();
    const deletes = gone.map(({ kind, key }) => ({ kind, key })).reverse();
    return this.#inSync(position, this.#delta([], deletes, position, 0n), gone.length > 0 ? ["unnamed-deleted"] : []);
  }

  /** A mark where we are must agree; one of a later position says what to fetch. */
  #compare(mark: Mark, position: Position): SourceStep {
    const order = this.have === undefined ? "newer" : comparePositions(position, this.have);
    if (order === "older" || order === "unordered") return NOTHING;
    const wrong = differingKinds(this.table, mark);
    if (wrong.length > 0) return this.#repair(wrong, order === "equal" ? ["mark-mismatch"] : []);
    return this.#inSync(position, order === "equal" ? NOTHING : this.#delta([], [], position, 0n), []);
  }

  /** any -> Repairing */
  #repair(kinds: readonly Kind[], events: readonly SourceEvent[]): SourceStep {
    this.phase = "Repairing";
    this.have = undefined;
    this.#awaited = new Set(kinds);
    return { buckets: kinds.map((kind) => bucketSums(this.clusterId, this.table, kind)), events };
  }

  /** Repairing -> InSync, unless the last mark spoke of this very position and still differs. */
  #repaired(delta: SourceStep, position: Position): SourceStep {
    const known = this.#mark?.position;
    const comparable = known !== undefined && comparePositions(known, position) === "equal";
    if (comparable && this.#mark !== undefined && differingKinds(this.table, this.#mark).length > 0) {
      this.#repairs++;
      if (this.#repairs < 3)
        return merge(delta, this.#repair(differingKinds(this.table, this.#mark), ["repair-failed"]));
      this.#repairs = 0;
      return { ...delta, events: ["repair-failed"], restart: true };
    }
    this.#repairs = 0;
    return this.#inSync(position, delta, []);
  }

  /** any -> InSync */
  #inSync(position: Position, step: SourceStep, events: readonly SourceEvent[]): SourceStep {
    this.phase = "InSync";
    this.have = position;
    this.proven = true;
    if (this.live && this.#announced) {
      return { ...step, ...(step.delta !== undefined && { delta: { ...step.delta, whole: true } }), events };
    }
    this.#announced = true;
    this.live = true;
    this.floor = position;
    const observedUs = step.delta?.observedUs ?? 0n;
    const all = { ...this.#base(position, observedUs), upserts: [...this.table.records()] };
    return { delta: { ...all, deletes: step.delta?.deletes ?? [], turn: "first" }, events };
  }
  /** `turn: "first"` was emitted. */
  #announced = false;

  #remove(): SourceStep {
    const deletes = [...this.table.records()].map(({ kind, key }) => ({ kind, key })).reverse();
    Object.assign(this, { phase: "Empty", live: false, proven: false, floor: undefined, have: undefined });
    this.table = createRecordTable();
    this.#announced = false;
    this.#unnamed.clear();
    this.status = SourceStatus.SOURCE_STATUS_REMOVED;
    const { clusterId } = this;
    return {
      delta: { clusterId, upserts: [], deletes, floor: undefined, observedUs: 0n, whole: true, turn: "removed" },
    };
  }

  #put(records: Batch["upserts"]): HashedRecord[] {
    const changed: HashedRecord[] = [];
    for (const { kind, key, value } of records) {
      const record = hashRecord(kind, key, value);
      const old = this.table.set(record);
      if (old === undefined || !sameBytes(old.hash, record.hash)) changed.push(record);
    }
    return changed;
  }

  #drop(key: string): boolean {
    this.#unnamed.delete(key);
    return this.table.delete(key) !== undefined;
  }

  #base(position: Position, observedUs: bigint): SourceDelta {
    return {
      clusterId: this.clusterId,
      upserts: [],
      deletes: [],
      floor: position,
      observedUs,
      whole: true,
      turn: "none",
    };
  }

  /** Nothing goes downstream before the source is live. */
  #delta(
    upserts: readonly HashedRecord[],
    deletes: readonly RecordName[],
    position: Position,
    observedUs: bigint,
  ): SourceStep {
    if (!this.live) return NOTHING;
    this.floor = position;
    const whole = this.phase === "InSync";
    return { delta: { ...this.#base(position, observedUs), upserts, deletes, whole } };
  }
}

function merge(a: SourceStep, b: SourceStep): SourceStep {
  return { ...a, ...b, events: [...(a.events ?? []), ...(b.events ?? [])] };
}
