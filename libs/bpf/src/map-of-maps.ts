/** Arrays of maps: their places hold maps that have no pins, found again by their ids. */
import { type Fd, native } from "./native.js";

/** The map in this place, or undefined. */
export function innerMap(outer: Fd, index: number): Fd | undefined {
  const id = native().mapLookup(outer, word(index));
  return id && native().mapById(new DataView(id.buffer, id.byteOffset).getUint32(0, true));
}

/** A key, or a value that is a descriptor. */
export function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
