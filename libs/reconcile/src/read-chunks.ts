/** Reads a whole array at the start of a process: few calls, and no copy of the whole map at once. */
import type { ArrayPort } from "./ports.js";

export interface Chunk {
  /** Index of its first entry. */
  readonly first: number;
  /** Number of entries. */
  readonly count: number;
  /** Copies of the entries, one after the other. */
  readonly bytes: Uint8Array;
  /** Of `bytes`, from their start. */
  readonly view: DataView;
}

const CHUNK = 4096;

/** All entries of the array in order, at most `size` at a time; 4096 unless given. */
export function* readChunks(port: Pick<ArrayPort, "read" | "maxEntries">, size = CHUNK): Generator<Chunk> {
  for (let first = 0; first < port.maxEntries; first += size) {
    const count = Math.min(size, port.maxEntries - first);
    const bytes = port.read(first, count);
    yield { first, count, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
  }
}
