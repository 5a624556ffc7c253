/**
 * Attributes of netlink messages, to bytes and back. Numbers are little endian, as on every machine that the agent runs
 * on; addresses are in network order.
 *
 * ```
 *   attribute = u16 length without padding | u16 type | value | padding to 4
 * ```
 */

/** An encoded attribute with its padding. */
export type Attribute = Uint8Array;

/** `struct rtattr` and `struct nlattr`. */
const HEADER = 4;
/** NLA_F_NESTED; some kinds of message are refused when nested attributes do not have it. */
const NESTED = 0x8000;
/** NLA_TYPE_MASK */
const TYPE = 0x3fff;

/** An attribute of these bytes. */
export function bytesAttribute(type: number, value: Uint8Array): Attribute {
  const bytes = new Uint8Array(align(HEADER + value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, HEADER + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, HEADER);
  return bytes;
}

/** An attribute of one unsigned number of 4 bytes. */
export function u32Attribute(type: number, value: number): Attribute {
  const bytes = new Uint8Array(HEADER + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.length, true);
  view.setUint16(2, type, true);
  view.setUint32(HEADER, value, true);
  return bytes;
}

/** An attribute of a text, which ends with a zero byte. */
export function textAttribute(type: number, value: string): Attribute {
  return bytesAttribute(type, Buffer.from(`${value}\0`));
}

/** An attribute that contains others. */
export function nestedAttribute(type: number, ...parts: readonly Uint8Array[]): Attribute {
  return bytesAttribute(type | NESTED, joinBytes(...parts));
}

/** The values of attributes by type; of two with one type the last. Undefined when the bytes are no attributes. */
export function parseAttributes(bytes: Uint8Array, from = 0): ReadonlyMap<number, Uint8Array> | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Map<number, Uint8Array>();
  for (let at = from; at + HEADER <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < HEADER || at + length > bytes.length) return undefined;
    values.set(view.getUint16(at + 2, true) & TYPE, bytes.subarray(at + HEADER, at + length));
    at += align(length);
  }
  return values;
}

/** The number of a `u32Attribute`; undefined when the attribute is absent or shorter. */
export function u32Of(value: Uint8Array | undefined): number | undefined {
  if (value === undefined || value.length < 4) return undefined;
  return new DataView(value.buffer, value.byteOffset).getUint32(0, true);
}

/** The text of a `textAttribute`, up to its zero byte; undefined when the attribute is absent. */
export function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString("latin1").replace(/\0.*$/s, "");
}

/** Rounds up to a multiple of 4, where the next attribute or message begins. */
export function align(length: number): number {
  return (length + 3) & ~3;
}

/** A copy of the parts, one after another, without padding between them. */
export function joinBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
