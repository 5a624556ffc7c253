/** A mapped BPF array in memory: plain bodies, and words that are stored at once. Host byte order is little endian. */
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
  };
}
