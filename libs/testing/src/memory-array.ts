/**
 * A mapped BPF array in memory, with plain writes and atomic word stores. Host byte order is little endian.
 *
 * A call with many writes checks all offsets first. Then each write is logged separately, so that a test can end the
 * process between any two.
 */
import { MeshError } from "@isthmus/model";
import type { ArrayPort } from "@isthmus/reconcile";
import type { Writer } from "./write-log.js";

export interface ArrayShape {
  readonly name: string;
  readonly entrySize: number;
  readonly maxEntries: number;
}

export function createMemoryArray(shape: ArrayShape, memory: Uint8Array, writer: Writer): ArrayPort {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);

  function locate(index: number, offset: number, size: number, align: number): number {
    const at = index * shape.entrySize + offset;
    const inside = index >= 0 && offset >= 0 && at + size <= shape.maxEntries * shape.entrySize;
    if (!inside || at % align !== 0) {
      throw new MeshError(
        { code: "MAP_IO", map: shape.name, index, offset },
        `Cannot write ${size} bytes at ${index}+${offset} of ${shape.name}: out of bounds or not aligned`,
      );
    }
    return at;
  }

  function write(what: "body" | "word", index: number, act: () => void): void {
    const event = { map: shape.name, what, at: index };
    writer.begin(event);
    act();
    writer.end(event);
  }

  function storeEach<T>(
    locations: readonly [indexes: Uint32Array, offsets: Uint32Array],
    values: { readonly length: number; [i: number]: T },
    size: 4 | 8,
    set: (at: number, value: T) => void,
  ): void {
    const [indexes, offsets] = locations;
    if (indexes.length !== values.length || offsets.length !== values.length) throw wrongCount(shape.name);
    const all = Array.from(indexes, (index, i) => locate(index, offsets[i] ?? 0, size, size));
    all.forEach((at, i) => {
      write("word", indexes[i] ?? 0, () => set(at, values[i] as T));
    });
  }

  return {
    ...shape,
    read(index, count = 1) {
      const at = locate(index, 0, count * shape.entrySize, 1);
      return memory.slice(at, at + count * shape.entrySize);
    },
    writeBody(index, bytes, offset = 0) {
      const at = locate(index, offset, bytes.length, 1);
      write("body", index, () => memory.set(bytes, at));
    },
    storeWord32(index, offset, value) {
      const at = locate(index, offset, 4, 4);
      write("word", index, () => view.setUint32(at, value, true));
    },
    storeWord64(index, offset, value) {
      const at = locate(index, offset, 8, 8);
      write("word", index, () => view.setBigUint64(at, value, true));
    },
    writeBodies(indexes, bytes, offset = 0) {
      const size = indexes.length === 0 ? 0 : bytes.length / indexes.length;
      if (!Number.isInteger(size) || (indexes.length === 0 && bytes.length > 0)) throw wrongCount(shape.name);
      const all = Array.from(indexes, (index) => locate(index, offset, size, 1));
      all.forEach((at, i) => {
        write("body", indexes[i] ?? 0, () => memory.set(bytes.subarray(i * size, (i + 1) * size), at));
      });
    },
    storeWords32: (indexes, offsets, values) =>
      storeEach([indexes, offsets], values, 4, (at, value) => view.setUint32(at, value, true)),
    storeWords64: (indexes, offsets, values) =>
      storeEach([indexes, offsets], values, 8, (at, value) => view.setBigUint64(at, value, true)),
  };
}

function wrongCount(name: string): MeshError {
  return new MeshError({ code: "MAP_IO", map: name }, `Cannot write ${name}: numbers of offsets and values differ`);
}
