/**
 * Says which objects are not in the maps as desired, once when it begins and once when it is over.
 *
 * Bounded: at most `MOST` sentences at a time; the rest is one number. The gauge has them all.
 */
import { FrontendKey } from "@isthmus/bpf";
import { type Address, formatAddress, keyBytes, protocolName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";

const MOST = 10;

export interface Failures {
  /** By status key: a frontend's name, `node <name>`, or a Service's name. */
  readonly errors: Iterable<readonly [string, Error]>;
}

export function createFailureReporter(log: Logger): (failures: Failures) => void {
  let told = new Map<string, string>();
  return ({ errors }) => {
    const now = new Map<string, string>();
    let fresh = 0;
    for (const [key, error] of errors) {
      now.set(key, error.message);
      if (told.get(key) === error.message) continue;
      if (++fresh <= MOST) log.warn("Not in the maps as desired", { object: nameObject(key), error });
    }
    if (fresh > MOST) log.warn("More objects not in the maps as desired", { count: fresh - MOST });
    const over = [...told.keys()].filter((key) => !now.has(key));
    if (over.length > 0)
      log.info("In the maps as desired again", { count: over.length, first: nameObject(over[0] ?? "") });
    told = now;
  };
}

/** `10.96.0.1:80/TCP` for a frontend's encoded key; other keys are names already. */
export function nameObject(key: string): string {
  if (key.length !== FrontendKey.size || !key.startsWith("\0")) return key;
  const { addr, port, proto } = FrontendKey.decode(keyBytes(key));
  const address = formatAddress(addr as Address);
  return port === 0 ? `${address}, ports without a row` : `${address}:${port}/${protocolName(proto)}`;
}
