/** The target of `mesh policy explain --to`. */
import { isIP } from "node:net";
import { type Address, parseAddress } from "@isthmus/model";
import { usageError } from "../../cli/exit.js";
import { type ContextPod, parseContextPod } from "../../cli/reference.js";
import { PROTOCOL_NAMES, portOf, protocolNumberOf } from "../../policy/ports.js";

export interface Target {
  /** A pod by its name, or an address. */
  readonly end: ContextPod | { readonly address: Address };
  /** IP protocol. */
  readonly protocol: number;
  /** As in `ExplainPolicyRequest`. */
  readonly port: number;
}

const LAST_PORT = 65535;
const LAST_TYPE = 255;
const FORM = "write POD:PORT/PROTO or ADDRESS:PORT/PROTO";

/** `shop/web-0:8080`, `west/shop/web-0:53/udp`, `203.0.113.7:443`, `[2001:db8::1]:443`. Throws USAGE. */
export function parseTarget(text: string): Target {
  const problem = (what: string) => usageError(`Cannot use "${text}" for --to: ${what}`);
  const [, place = "", number = "", name = "tcp"] = /^(.+):(\d+)(?:\/([A-Za-z]+))?$/.exec(text) ?? [];
  if (place === "") throw problem(`it has no port; ${FORM}`);
  const protocol = protocolNumberOf(name);
  if (protocol === undefined) throw problem(`"${name}" is none of ${PROTOCOL_NAMES.join(", ")}`);
  const isIcmp = name.toLowerCase() === "icmp";
  const [value, last] = [Number(number), isIcmp ? LAST_TYPE : LAST_PORT];
  if (value > last || (!isIcmp && value === 0))
    throw problem(isIcmp ? `an ICMP type is 0 to ${last}` : `a port is 1 to ${last}`);
  const address = place.replace(/^\[(.*)\]$/, "$1");
  const end = isIP(address) === 0 ? parseContextPod(place, "to") : { address: parseAddress(address) };
  return { end, protocol, port: portOf(protocol, value) };
}
