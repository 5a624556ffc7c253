/**
 * Reads the messages that a peer writes besides its records, within BOUNDS. Undefined: unreadable, and treated as absent.
 * Its config is read by its own publisher only.
 */
import { ClusterClaim, Head } from "@isthmus/proto";
import { BOUNDS, checkList, checkText, type OutOfBounds } from "./bounds.js";

export function readHead(value: Uint8Array): Head | undefined {
  return read(value, Head.decode, (head) =>
    first(
      present("cluster uid", head.clusterUid),
      checkText("cluster uid", head.clusterUid, BOUNDS.uid),
      checkText("epoch", head.epoch, BOUNDS.word),
      checkText("writer", head.writer, BOUNDS.word),
      checkList("kinds", head.sums, BOUNDS.kinds, ({ sum }) =>
        sum.length > 16 ? "a sum of more than 16 bytes" : undefined,
      ),
      checkList("capabilities", head.capabilities, BOUNDS.capabilities, (each) =>
        checkText("capability", each, BOUNDS.word),
      ),
    ),
  );
}

export function readClaim(value: Uint8Array): ClusterClaim | undefined {
  return read(value, ClusterClaim.decode, ({ name, uid }) =>
    first(
      present("name", name),
      present("uid", uid),
      checkText("name", name, BOUNDS.clusterName),
      checkText("uid", uid, BOUNDS.uid),
    ),
  );
}

function read<T>(
  value: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  check: (message: T) => OutOfBounds,
): T | undefined {
  if (value.length > BOUNDS.meta) return undefined;
  try {
    const message = decode(value);
    return check(message) === undefined ? message : undefined;
  } catch {
    return undefined;
  }
}

/** Every publisher writes it: bytes that decode without it are none of this message, such as no bytes or zeros. */
function present(field: string, text: string): OutOfBounds {
  return text === "" ? `no ${field}` : undefined;
}

function first(...findings: readonly OutOfBounds[]): OutOfBounds {
  return findings.find((finding) => finding !== undefined);
}
