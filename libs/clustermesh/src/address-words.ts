/**
 * An address as four numbers inside the object that has it.
 *
 * A view of a record's bytes is larger than the rest of a backend, and looking into it later is a miss of the CPU's
 * cache: at 100,000 backends a tenth of a first load.
 */
import type { Address } from "@isthmus/model";

/** Bytes 0..3, 4..7, 8..11, 12..15 of an address, each as a signed 32-bit number, big endian. */
export interface AddressWords {
  readonly word0: number;
  readonly word1: number;
  readonly word2: number;
  readonly word3: number;
}

export function addressWords(address: Uint8Array): AddressWords {
  const [word0, word1, word2, word3] = [0, 4, 8, 12].map((at) => readWord(address, at));
  return { word0: word0 ?? 0, word1: word1 ?? 0, word2: word2 ?? 0, word3: word3 ?? 0 };
}

/** Four bytes from `at`. */
export function readWord(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16);
  return high | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

/** The 16 bytes, made anew at each call. */
export function wordsAddress({ word0, word1, word2, word3 }: AddressWords): Address {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  [word0, word1, word2, word3].forEach((word, i) => {
    view.setInt32(4 * i, word);
  });
  return bytes as Address;
}

/** As `Buffer.compare` of the bytes. */
export function compareWords(a: AddressWords, b: AddressWords): number {
  return (
    (a.word0 >>> 0) - (b.word0 >>> 0) ||
    (a.word1 >>> 0) - (b.word1 >>> 0) ||
    (a.word2 >>> 0) - (b.word2 >>> 0) ||
    (a.word3 >>> 0) - (b.word3 >>> 0)
  );
}

/** IPv4 in its v4-mapped form. */
export function isV4Words({ word0, word1, word2 }: AddressWords): boolean {
  return word0 === 0 && word1 === 0 && word2 === 0xffff;
}
