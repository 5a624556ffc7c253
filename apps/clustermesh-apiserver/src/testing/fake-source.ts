/** A source for tests: the test fills its index and sets its status. */
import { parseClusterName } from "@isthmus/model";
import { Kind, PeerState, type Position } from "@isthmus/proto";
import {
  createSourceIndex,
  hashRecord,
  kindOfKey,
  localPosition,
  remotePosition,
  type SourceIndex,
} from "@isthmus/records";
import { createEmitter } from "@isthmus/runtime";
import type { SourcesChange, StreamSource, StreamSources } from "../ports/stream-source.js";

export interface FakeSource extends StreamSource {
  readonly index: SourceIndex;
  /** Sets and deletes records by key at the next version; returns the position. */
  change(sets: Readonly<Record<string, string>>, deletes?: readonly string[]): Position;
  prove(on: boolean): void;
  /** Makes `proves` false for this kind, as with a publisher that does not know the kind. */
  leaveOut(kind: Kind): void;
  /** Floors passed to `catchUp`; `resolve` ends the call. */
  readonly asked: { readonly floor: Position; resolve(): void }[];
  /** Sets another store id for the next change. */
  restore(): void;
  tell(status: PeerState): void;
}

export function createFakeSource(clusterId: number, cluster: string): FakeSource {
  const index = createSourceIndex({ maxTombstones: 50 });
  const changes = createEmitter();
  const asked: FakeSource["asked"] = [];
  let status = PeerState.PEER_STATE_IN_SYNC;
  let store = Buffer.alloc(16, clusterId + 1);
  let version = 100n;
  let verified = true;
  let leftOut: Kind | undefined;
  const kindOf = (key: string): Kind => kindOfKey(key) ?? Kind.KIND_SERVICE;
  return {
    clusterId,
    cluster: parseClusterName(cluster),
    index,
    asked,
    state: () => ({ status, hops: [] }),
    isVerified: () => verified,
    verifiesAbsence: (kind) => kind !== leftOut,
    leaveOut(kind) {
      leftOut = kind;
      changes.emit();
    },
    prove(on) {
      verified = on;
      changes.emit();
    },
    onState: changes.subscribe,
    catchUp: (floor) => new Promise((resolve) => asked.push({ floor, resolve })),
    change(sets, deletes = []) {
      version++;
      const position = clusterId === 0 ? localPosition(store, [version]) : remotePosition(store, version);
      index.apply({
        upserts: Object.entries(sets).map(([key, value]) => hashRecord(kindOf(key), key, Buffer.from(value))),
        deletes: deletes.map((key) => ({ kind: kindOf(key), key })),
        position,
        observedMicros: Date.now() * 1000,
      });
      return position;
    },
    restore() {
      store = Buffer.alloc(16, 200);
    },
    tell(now) {
      status = now;
      changes.emit();
    },
  };
}

export interface FakeSources extends StreamSources {
  add(source: StreamSource): void;
  remove(source: StreamSource): void;
}

export function createFakeSources(...initial: readonly StreamSource[]): FakeSources {
  const all = [...initial];
  const changes = createEmitter<SourcesChange>();
  return {
    all,
    complete: true,
    onChange: changes.subscribe,
    add(source) {
      all.push(source);
      changes.emit({ added: source });
    },
    remove(source) {
      all.splice(all.indexOf(source), 1);
      changes.emit({ removed: source });
    },
  };
}
