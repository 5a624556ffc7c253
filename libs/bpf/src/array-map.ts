/**
 * Implements ArrayPort of libs/reconcile on a mapped BPF array. Entries have the size of their struct; this file hides
 * that in the kernel's memory they are padded to a multiple of 8.
 */
import type { ArrayPort } from "@isthmus/reconcile";
import { type Fd, native } from "./native.js";

export interface MappedArray extends ArrayPort {
  /** Unmaps the array; the BPF map stays. */
  close(): void;
}

/** `map` stays the caller's and may be closed. Throws when the array is not mappable (`BPF_F_MMAPABLE`). */
export function createMappedArray(name: string, map: Fd): MappedArray {
  const { valueSize: entrySize, maxEntries } = native().mapInfo(map);
  const mapping = native().mapMapping(map);
  const { stride } = mapping;

  /** Byte offset in the mapping; throws RangeError when the range is outside the entry or the map. */
  function at(index: number, offset: number, length: number): number {
    if (index < 0 || index >= maxEntries || offset < 0 || offset + length > entrySize) {
      throw new RangeError(
        `Cannot use bytes ${offset}..${offset + length} of entry ${index} of map "${name}": ` +
          `it has ${maxEntries} entries of ${entrySize} bytes`,
      );
    }
    return index * stride + offset;
  }

  function read(index: number, count = 1): Uint8Array {
    if (count === 0) return new Uint8Array(0);
    at(index + count - 1, 0, entrySize);
    const raw = mapping.read(at(index, 0, entrySize), count * stride);
    if (stride === entrySize) return raw;
    const packed = new Uint8Array(count * entrySize);
    for (let i = 0; i < count; i++) packed.set(raw.subarray(i * stride, i * stride + entrySize), i * entrySize);
    return packed;
  }

  return {
    name,
    entrySize,
    maxEntries,
    read,
    writeBody: (index, bytes, offset = 0) => mapping.write(at(index, offset, bytes.length), bytes),
    storeWord32: (index, offset, value) => mapping.store32(at(index, offset, 4), value),
    storeWord64: (index, offset, value) => mapping.store64(at(index, offset, 8), value),
    writeBodies: (indexes, bytes, offset = 0) => mapping.writeEach(indexes, bytes, offset),
    storeWords32: (indexes, offsets, values) => mapping.store32Each(indexes, offsets, values),
    storeWords64: (indexes, offsets, values) => mapping.store64Each(indexes, offsets, values),
    close: () => mapping.close(),
  };
}
