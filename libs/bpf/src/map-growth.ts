/**
 * Gives pinned maps a larger size or another layout while programs run, without a lost connect.
 *
 * ```
 *   replace()  for each map: make a new one
 *              for each map: copy ─► pin the old one as before_<map>@<id> ─► the new one takes the name (one rename)
 *   (the caller loads the programs on these maps and makes every link run them)
 *   finish()   grace period ─► copy the rows that programs wrote to the old maps meanwhile ─► remove their pins
 * ```
 * What holds, also when the process is killed between any two steps:
 *
 * - The pin with the map's name is always a whole map. A copy that is not complete has a name of its own, which the
 *   next `replace()` removes.
 * - The agent's rows are equal in the old map and in the new one while any program still runs on the old one: the agent
 *   holds the lock of the pin folder, and writes no row between `replace()` and `finish()`.
 * - A row that a program wrote is copied twice, since programs on the old map go on writing until their link is
 *   switched. The second copy leaves alone what a program wrote to the new map. It needs the pin of the old map, which
 *   is removed last; the next process continues with the pins that it finds.
 */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { bytesKey, keyBytes, MeshError } from "@isthmus/model";
import { createMappedArray } from "./array-map.js";
import { pinsWith } from "./attach/pins.js";
import { errnoOf, mapError } from "./errors.js";
import { createHashMap } from "./hash-map.js";
import { MapType, UpdateFlag } from "./kernel-constants.js";
import { type Fd, type MapShape, native } from "./native.js";

const INCOMPLETE = "next_";
const BEFORE = "before_";
/** Bytes of an array that are copied in one turn of the event loop. */
const CHUNK_BYTES = 1 << 20;
/** Rows that are converted in one turn. */
const ROWS_PER_TURN = 512;

/** Rows of a hash: key (latin1 of the bytes) to value. */
type Rows = ReadonlyMap<string, Uint8Array>;

/** A pinned map that gets another map in its place. */
export interface Replacement {
  /** Name of the new map's pin; also the old one's, unless that has another layout. */
  readonly name: string;
  /** Stays the caller's; `replace()` reads it, and pins it when programs write its rows. */
  readonly old: Fd;
  /** Shape of the new map; it must have room for all rows of the old one. */
  readonly spec: MapShape;
  /** Programs write its rows too, which `finish()` copies. */
  readonly writtenByPrograms: boolean;
  /** Nothing is copied. */
  readonly empty?: boolean;
  /** Makes a row of the new layout from one of the old layout; absent: the layouts are equal. For arrays. */
  readonly convert?: ((row: Uint8Array) => Uint8Array) | undefined;
}

export interface MapGrowth {
  /**
   * Gives the pins of these maps to new ones. Every new map is made before anything is written: when the kernel refuses
   * one, nothing has changed. Throws `MAP_IO`.
   */
  replace(replacements: readonly Replacement[]): Promise<void>;
  /** Copies the difference; to be called when every link runs the programs that use the new maps. `mapOf`: by name. */
  finish(mapOf: (name: string) => Fd, gracePeriod: () => Promise<void>): Promise<void>;
}

/** `pinFolder`: in bpffs, locked by the caller. `finish()` of the same object knows what its `replace()` copied. */
export function createMapGrowth(pinFolder: string): MapGrowth {
  /** What `replace()` copied of each hash, by the pin of the old map. */
  const copied = new Map<string, Rows>();

  async function replaceOne(replacement: Replacement, made: Fd): Promise<void> {
    const { name, old, writtenByPrograms } = replacement;
    const rows = await copyMap(replacement, made);
    if (writtenByPrograms) {
      const pin = `${BEFORE}${name}@${native().mapInfo(old).id}`;
      rmSync(join(pinFolder, pin), { force: true });
      native().pin(old, join(pinFolder, pin));
      copied.set(pin, rows);
    }
    native().pin(made, join(pinFolder, INCOMPLETE + name));
    renameSync(join(pinFolder, INCOMPLETE + name), join(pinFolder, name));
  }

  return {
    async replace(replacements) {
      for (const pin of pinsWith(pinFolder, INCOMPLETE)) rmSync(join(pinFolder, pin));
      const made = new Map<Replacement, Fd>();
      try {
        for (const replacement of replacements) made.set(replacement, create(replacement.name, replacement.spec));
        for (const [replacement, map] of made) await replaceOne(replacement, map);
      } finally {
        for (const map of made.values()) map.close();
      }
    },

    async finish(mapOf, gracePeriod) {
      const pins = pinsWith(pinFolder, BEFORE);
      if (pins.length === 0) return;
      // A program that began on an old map may still write to it after its link was switched.
      await gracePeriod();
      for (const pin of pins) {
        const name = pin.slice(BEFORE.length).split("@")[0] ?? "";
        const old = native().openPin(join(pinFolder, pin));
        try {
          await copyDifference(name, old, mapOf(name), copied.get(pin) ?? new Map());
        } finally {
          old.close();
        }
        rmSync(join(pinFolder, pin));
      }
      copied.clear();
    },
  };
}

function create(name: string, spec: MapShape): Fd {
  const { type, keySize, valueSize, maxEntries, flags } = spec;
  try {
    return native().mapCreate({ type, keySize, valueSize, maxEntries, flags, name: name.slice(0, 15) });
  } catch (cause) {
    const errno = errnoOf(cause);
    throw new MeshError(
      { code: "MAP_IO", map: name, errno },
      `Cannot create map "${name}" with ${maxEntries} entries: ${errno}; lower its size`,
      { cause },
    );
  }
}

/** Copies all entries into an empty map. Returns the rows of a hash; none for an array. */
async function copyMap({ name, old, convert, empty }: Replacement, made: Fd): Promise<Rows> {
  if (empty === true) return new Map();
  if (native().mapInfo(old).type === MapType.Array) {
    await (convert === undefined ? copyArray(old, made) : convertArray(name, old, made, convert));
    return new Map();
  }
  const rows = await createHashMap(name, old).load();
  await write(name, made, rows, UpdateFlag.NoExist);
  return rows;
}

async function copyArray(from: Fd, to: Fd): Promise<void> {
  const source = native().mapMapping(from);
  const target = native().mapMapping(to);
  try {
    const total = source.stride * native().mapInfo(from).maxEntries;
    for (let at = 0; at < total; at += CHUNK_BYTES, await setImmediate()) {
      target.write(at, source.read(at, Math.min(CHUNK_BYTES, total - at)));
    }
  } finally {
    source.close();
    target.close();
  }
}

async function convertArray(name: string, from: Fd, to: Fd, convert: (row: Uint8Array) => Uint8Array): Promise<void> {
  const source = createMappedArray(name, from);
  const target = createMappedArray(name, to);
  try {
    for (let i = 0; i < source.maxEntries; i++) {
      target.writeBody(i, convert(source.read(i)));
      if (i % ROWS_PER_TURN === 0) await setImmediate();
    }
  } finally {
    source.close();
    target.close();
  }
}

/**
 * Copies the rows of `from` that are not as they were when they were `copied`, unless a program wrote that row to `to`
 * since.
 */
async function copyDifference(name: string, from: Fd, to: Fd, copied: Rows): Promise<void> {
  if (native().mapInfo(from).id === native().mapInfo(to).id) return;
  const now = await createHashMap(name, to).load();
  const changed = new Map<string, Uint8Array>();
  for (const [key, value] of await createHashMap(name, from).load()) {
    const before = copied.get(key);
    if (!isEqual(before, value) && isEqual(now.get(key), before)) changed.set(key, value);
  }
  await write(name, to, changed, UpdateFlag.Any);
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : bytesKey(a) === bytesKey(b);
}

async function write(name: string, map: Fd, rows: Rows, flag: number): Promise<void> {
  const keys = [...rows.keys()];
  const { maxEntries } = native().mapInfo(map);
  const most = 1024;
  for (let at = 0; at < keys.length; at += most, await setImmediate()) {
    const chunk = keys.slice(at, at + most);
    const values = Buffer.concat(chunk.map((key) => rows.get(key) ?? new Uint8Array(0)));
    const errors = native().mapUpdateEach(map, keyBytes(chunk.join("")), values, flag);
    const errno = errors.find((error) => error !== 0);
    if (errno !== undefined) throw mapError(name, maxEntries, errno, "copy an entry to");
  }
}
