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

export function takeEach<T>(count: number, take: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => take(i));
}

/** A bit field at `shift`. Throws when the value does not fit, because it would change the neighbouring field. */
export function bits(name: string, value: number, size: number, shift: bigint): bigint {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** size) {
    throw new RangeError(`Cannot encode ${value} as "${name}": it has ${size} bits`);
  }
  return BigInt(value) << shift;
}
