/** Checks the size of a record against BOUNDS, regardless of its cluster. Pure. */
import { RefusalReason } from "@isthmus/proto";
import { BOUNDS, type OutOfBounds } from "./bounds.js";
import { recordKind } from "./kinds.js";
import type { HashedRecord, Refusal } from "./types.js";
import { WireCursor } from "./wire-cursor.js";

export const UNREADABLE = "its value cannot be read";

/**
 * Why the value must not be decoded: it is too large, or its fields cannot be counted. Undefined when it may be
 * decoded.
 */
export function refusalUndecoded({ key, value }: Pick<HashedRecord, "key" | "value">): Refusal | undefined {
  const tooLarge = (what: string): Refusal => ({ reason: RefusalReason.REFUSAL_REASON_TOO_LARGE, detail: what });
  if (key.length > BOUNDS.key) return tooLarge(`its key of ${key.length} bytes is more than ${BOUNDS.key}`);
  if (value.length > BOUNDS.value) return tooLarge(`${value.length} bytes are more than ${BOUNDS.value}`);
  const fields = countFields(value, BOUNDS.fields);
  if (fields === undefined) return { reason: RefusalReason.REFUSAL_REASON_MALFORMED_VALUE, detail: UNREADABLE };
  return fields > BOUNDS.fields ? tooLarge(`its fields are more than ${BOUNDS.fields}`) : undefined;
}

/** The bound for which a reader would refuse the record, if any; an exporter must not write such a record. */
export function outOfBounds(record: HashedRecord): OutOfBounds {
  return refusalUndecoded(record)?.detail ?? recordKind(record.kind)?.outOfBounds(record.value);
}

/**
 * Counts the top-level fields of a value, up to `most` + 1. Undefined for bytes that are not a message, including those
 * that the generated decoders skip or stop at (field number 0, groups): any number of fields could follow such bytes.
 */
function countFields(value: Uint8Array, most: number): number | undefined {
  const cursor = new WireCursor(value);
  let fields = 0;
  try {
    for (; cursor.at < value.length && fields <= most; fields++) cursor.skip(cursor.tag());
  } catch {
    return undefined;
  }
  return fields;
}
