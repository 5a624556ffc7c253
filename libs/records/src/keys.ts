/**
 * Record keys, relative to their source's prefix: the segment of the kind, and the names that it has.
 *
 *   identities/<number>                nodes/<node>                     endpoints/<ip>
 *   services/<ns>/<name>               slices/<ns>/<service>/<slice>
 *   service-configs/<ns>/<name>        node-configs/<node>              policies/<resource>/<ns>/<name>
 *
 * "-" is in place of the namespace of a policy that has none.
 * Each key has exactly one valid text: addresses are in canonical form, numbers have no leading zeros.
 */
import { Kind } from "@isthmus/proto";
import type { ParsedKey } from "./kinds/index.js";
import { NO_NAMESPACE } from "./kinds/record-kind.js";
import { kindOfKey, recordKind } from "./kinds.js";

/** Parses a relative key; undefined when it differs from what the key functions of the kinds produce. */
export function parseKey(key: string): ParsedKey | undefined {
  const kind = recordKind(kindOfKey(key) ?? Kind.KIND_UNSPECIFIED);
  if (kind === undefined) return undefined;
  const first = key.indexOf("/") + 1;
  let [from, names] = [first, 1];
  // Without splitting, for speed: tens of thousands of keys are parsed.
  for (let slash = key.indexOf("/", from); slash >= 0; slash = key.indexOf("/", from)) {
    const mayBeNone = names === 2 && kind.mayLackNamespace === true;
    if (!isObjectName(key, from, slash) && !(mayBeNone && key.slice(from, slash) === NO_NAMESPACE)) return undefined;
    [from, names] = [slash + 1, names + 1];
  }
  if (names !== kind.names.length || !isObjectName(key, from, key.length)) return undefined;
  try {
    return kind.parse(key.slice(first)) as ParsedKey | undefined;
  } catch {
    return undefined;
  }
}

/** True when `key[from, to)` is a DNS subdomain, or an address (which may have colons). */
function isObjectName(key: string, from: number, to: number): boolean {
  if (to <= from || to - from > 253) return false;
  for (let i = from; i < to; i++) {
    const char = key.charCodeAt(i);
    const inner = i > from && i < to - 1 && (char === DASH || char === DOT);
    if (!inner && !(char >= ZERO && char <= COLON) && !(char >= A && char <= Z)) return false;
  }
  return true;
}

const [DASH, DOT, ZERO, COLON, A, Z] = [0x2d, 0x2e, 0x30, 0x3a, 0x61, 0x7a];
