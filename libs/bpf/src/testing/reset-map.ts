/** Brings a map back to what it has when it is made. */
import { MapFlag, MapType } from "../kernel-constants.js";
import { type Fd, type MapInfo, native } from "../native.js";

/** Entries of a hash that are deleted at a time. */
const CHUNK = 1024;

type Reset = (map: Fd, info: MapInfo) => void;

/** By `MapType`. */
const RESETS: ReadonlyMap<number, Reset> = new Map<number, Reset>([
  [MapType.Array, clearArray],
  [MapType.PerCpuArray, clearPerCpuArray],
  [MapType.Hash, clearHash],
  [MapType.LruHash, clearHash],
  [MapType.LpmTrie, clearHash],
  [MapType.ArrayOfMaps, (map, { maxEntries }) => void native().mapDeleteEach(map, indexes(maxEntries))],
  // Its rows are of sockets, and go with them: a test run has a socket of its own.
  [MapType.SkStorage, () => undefined],
]);

/** False for a kind of map that `resetMap` cannot reset. */
export function isResettable({ type }: Pick<MapInfo, "type">): boolean {
  return RESETS.has(type);
}

export function resetMap(map: Fd): void {
  const info = native().mapInfo(map);
  const reset = RESETS.get(info.type);
  if (reset === undefined) throw new Error(`Cannot reset map "${info.name}" of type ${info.type}`);
  reset(map, info);
}

function clearArray(map: Fd, { flags, maxEntries, valueSize }: MapInfo): void {
  if ((flags & MapFlag.Mappable) === 0) {
    native().mapUpdateBatch(map, indexes(maxEntries), new Uint8Array(maxEntries * valueSize));
    return;
  }
  const mapping = native().mapMapping(map);
  mapping.write(0, new Uint8Array(maxEntries * mapping.stride));
  mapping.close();
}

function clearPerCpuArray(map: Fd, { maxEntries, name }: MapInfo): void {
  const keys = indexes(maxEntries);
  const bytesOfAllCpus = native().mapLookup(map, keys.subarray(0, 4))?.length ?? 0;
  const errors = native().mapUpdateEach(map, keys, new Uint8Array(maxEntries * bytesOfAllCpus), 0);
  assertNone(errors, name);
}

function clearHash(map: Fd, { keySize, name }: MapInfo): void {
  for (let isEmpty = false; !isEmpty; ) {
    const { keys, count, end } = native().mapDump(map, undefined, CHUNK);
    assertNone(native().mapDeleteEach(map, keys.subarray(0, count * keySize)), name);
    isEmpty = end;
  }
}

function assertNone(errors: Int32Array, name: string): void {
  const errno = errors.find((each) => each !== 0);
  if (errno !== undefined) throw new Error(`Cannot reset map "${name}": errno ${errno}`);
}

function indexes(count: number): Uint8Array {
  const words = new Uint32Array(count);
  for (let i = 0; i < count; i++) words[i] = i;
  return new Uint8Array(words.buffer);
}
