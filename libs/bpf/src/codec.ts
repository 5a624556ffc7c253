/**
 * Functions that the generated codecs share. Struct layouts are those of bpf/lib/types.h, little endian unless the type
 * is __be.
 */

/** A view of the struct at `at`; throws RangeError when `bytes` is too short. */
export function viewOf(bytes: Uint8Array, at: number, size: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at, size);
}

/** Copies exactly `size` bytes. */
export function putBytes(out: Uint8Array, at: number, value: Uint8Array, size: number): void {
  if (value.length !== size) throw new RangeError(`Cannot encode ${value.length} bytes into a field of ${size}`);
  out.set(value, at);
}

/** Writes at most `count` items; the rest of the field stays zero. */
export function putEach<T>(values: readonly T[], count: number, put: (item: T, index: number) => void): void {
  if (values.length > count) throw new RangeError(`Cannot encode ${values.length} items into a field of ${count}`);
  values.forEach(put);
}

/** Makes a list of `count` items; `take` gets 0, 1, …. */
export function takeEach<T>(count: number, take: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => take(i));
}

/**
 * A value of a field of `size` bits in a word, at most 32. Throws when it does not fit, because it would change its
 * neighbours. Shifts, since a power is ten times as slow, and there are ten fields for each backend of a first load.
 */
export function bits(name: string, value: number, size: number): number {
  if (value >>> 0 !== value || (size < 32 && value >>> size !== 0)) {
    throw new RangeError(`Cannot encode ${value} as "${name}": it has ${size} bits`);
  }
  return value;
}

/** A number of 16 bits in the other byte order. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

const scratch = new DataView(new ArrayBuffer(8));

/** A word of two halves of 32 bits, signed or not. */
export function word64(low: number, high: number): bigint {
  scratch.setUint32(0, low, true);
  scratch.setUint32(4, high, true);
  return scratch.getBigUint64(0, true);
}

/** Bits 0 to 31, unsigned. */
export function lowHalf(word: bigint): number {
  scratch.setBigUint64(0, word, true);
  return scratch.getUint32(0, true);
}

/** Bits 32 to 63, unsigned. */
export function highHalf(word: bigint): number {
  scratch.setBigUint64(0, word, true);
  return scratch.getUint32(4, true);
}
