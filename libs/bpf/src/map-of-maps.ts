/** Arrays of maps. The inner maps have no pins; they are opened by their ids. */
import { type Fd, native } from "./native.js";

/** The inner map at `index`, or undefined. */
export function innerMap(outer: Fd, index: number): Fd | undefined {
  const id = native().mapLookup(outer, word(index));
  return id && native().mapById(new DataView(id.buffer, id.byteOffset).getUint32(0, true));
}

/** Encodes a key, or a file descriptor as a value. */
export function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
