/**
 * Logs which objects are not in the maps as desired: once when the error begins or changes, and once when it ends.
 *
 * At most `MOST` objects per call are logged by name, the rest as a count; the gauge `mesh_objects_failed` counts all.
 */
import { FrontendKey, FrontendScope } from "@isthmus/bpf";
import { type Address, formatAddress, keyBytes, protocolName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";

const MOST = 10;

export interface Failures {
  /** By status key: a frontend's name, `node <name>`, `service range <prefix>`, or a Service's name. */
  readonly errors: Iterable<readonly [string, Error]>;
}

/** Returns a function that takes all present errors, and compares them with those of the call before. */
export function createFailureReporter(log: Logger): (failures: Failures) => void {
  let before = new Map<string, string>();
  return ({ errors }) => {
    const now = new Map<string, string>();
    let fresh = 0;
    for (const [key, error] of errors) {
      now.set(key, error.message);
      if (before.get(key) === error.message) continue;
      if (++fresh <= MOST) log.warn("Object is not in the maps as desired", { object: nameObject(key), error });
    }
    if (fresh > MOST) log.warn("More objects are not in the maps as desired", { count: fresh - MOST });
    const over = [...before.keys()].filter((key) => !now.has(key));
    if (over.length > 0)
      log.info("Objects are in the maps as desired again", { count: over.length, first: nameObject(over[0] ?? "") });
    before = now;
  };
}

/** `10.96.0.1:80/TCP` for a frontend's encoded key; other keys are names already. */
export function nameObject(key: string): string {
  // The last byte of a frontend's key is its scope, a number below that of every printable character.
  if (key.length !== FrontendKey.size || key.charCodeAt(FrontendKey.offsets.scope) > FrontendScope.Local) return key;
  const { addr, port, proto } = FrontendKey.decode(keyBytes(key));
  const address = formatAddress(addr as Address);
  return port === 0 ? `${address}, ports without a row` : `${address}:${port}/${protocolName(proto)}`;
}
