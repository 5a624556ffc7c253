/**
 * Returns the same string for each text in records, to save memory: ten thousand slices name the same hundred nodes.
 *
 * It keeps the latest text of each hash slot; texts that are not ASCII are decoded each time.
 */
export interface TextPool {
  /** The UTF-8 text in `bytes[from, to)`. */
  read(bytes: Uint8Array, from: number, to: number): string;
}

const SLOTS = 4096;

/** Has 4,096 slots, so at most that many strings, however many texts are read. */
export function createTextPool(): TextPool {
  const known: string[] = new Array<string>(SLOTS).fill("");

  return {
    read(bytes, from, to) {
      let hash = 0;
      let bits = 0;
      for (let at = from; at < to; at++) {
        const byte = bytes[at] ?? 0;
        bits |= byte;
        hash = Math.imul(hash ^ byte, 0x01000193);
      }
      if (bits >= 0x80) return decode(bytes, from, to);
      const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
      const last = known[slot] ?? "";
      if (equals(last, bytes, from, to)) return last;
      const text = decode(bytes, from, to);
      known[slot] = text;
      return text;
    },
  };
}

function equals(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false;
  return true;
}

function decode(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8");
}
