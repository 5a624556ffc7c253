/**
 * Decodes the messages that a peer writes besides its records, within BOUNDS. Undefined means unreadable and is treated
 * as absent. The config of a cluster is not read here: only its own publisher reads it.
 */
import { ClusterClaim, Head } from "@isthmus/proto";
import { BOUNDS, checkList, checkText, type OutOfBounds } from "./bounds.js";

/** Undefined also when the head names no cluster uid. */
export function readHead(value: Uint8Array): Head | undefined {
  return read(value, Head.decode, (head) =>
    first(
      present("cluster uid", head.clusterUid),
      checkText("cluster uid", head.clusterUid, BOUNDS.uid),
      checkText("epoch", head.epoch, BOUNDS.identifier),
      checkText("writer", head.writer, BOUNDS.identifier),
      checkList("kinds", head.sums, BOUNDS.kinds, ({ sum }) =>
        sum.length > 16 ? "a sum of more than 16 bytes" : undefined,
      ),
      checkList("capabilities", head.capabilities, BOUNDS.capabilities, (each) =>
        checkText("capability", each, BOUNDS.identifier),
      ),
    ),
  );
}

/** Undefined also when the claim has no name or no uid. */
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

/** Every publisher sets this field, so bytes that decode without it (no bytes, or zeros) are not this message. */
function present(field: string, text: string): OutOfBounds {
  return text === "" ? `no ${field}` : undefined;
}

function first(...findings: readonly OutOfBounds[]): OutOfBounds {
  return findings.find((finding) => finding !== undefined);
}
