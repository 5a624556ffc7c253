/** Bytes as a map key: a latin1 string, equal exactly when the bytes are equal. */
export function bytesKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The bytes of a `bytesKey`. */
export function keyBytes(key: string): Uint8Array {
  return Buffer.from(key, "latin1");
}
