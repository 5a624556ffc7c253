/** Bytes as keys: a latin1 string of the bytes is equal exactly when the bytes are. */
export function bytesKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The bytes of a `bytesKey`. */
export function keyBytes(key: string): Uint8Array {
  return Buffer.from(key, "latin1");
}
