/** Ports of which one verdict allows what another one denies, with what decides in each. */
import { LAST_PORT } from "../model/policy.js";
import { type Outcome, type Segment, sameOutcome } from "../resolve/port-rules.js";
import { otherProtocols, type PeerVerdict, protocolsOf, segmentsIn } from "../resolve/verdict.js";

/** Neighbouring ports of one protocol, or all protocols but some, whose outcome turns from one to the other. */
export interface PortFlip {
  /** IP protocol; undefined: all but those of `except`. */
  readonly protocol: number | undefined;
  /** With a protocol: none. */
  readonly except: readonly number[];
  /** 0 to 65535; of ICMP type << 8 | code. */
  readonly first: number;
  /** At least `first`. */
  readonly last: number;
  /** Allows what `after` denies, or denies what it allows. */
  readonly before: Outcome;
  /** The other way round. */
  readonly after: Outcome;
}

/** In the order of protocols and ports, all others last; ports next to each other have different outcomes. */
export function portFlips(before: PeerVerdict, after: PeerVerdict): readonly PortFlip[] {
  if (before.key === after.key) return [];
  const [old, now] = [otherProtocols(before), otherProtocols(after)];
  const protocols = [...new Set([...protocolsOf(before), ...protocolsOf(after)])].sort((a, b) => a - b);
  const named = protocols.map((protocol) => {
    const flips = flipsOf(protocol, segmentsIn(before, protocol), segmentsIn(after, protocol));
    return { protocol, flips };
  });
  if (old.allow === now.allow) return named.flatMap(({ flips }) => flips);
  // A protocol of which all is as of the others needs no flip of its own.
  const own = named.filter(({ flips: [first] }) => first === undefined || !isWhole(first, old, now));
  const others = { protocol: undefined, except: own.map(({ protocol }) => protocol), first: 0, last: LAST_PORT };
  return [...own.flatMap(({ flips }) => flips), { ...others, before: outcome(old), after: outcome(now) }];
}

function isWhole({ first, last, before, after }: PortFlip, old: Outcome, now: Outcome): boolean {
  return first === 0 && last === LAST_PORT && sameOutcome(before, old) && sameOutcome(after, now);
}

/** Both have all ports in order. */
function flipsOf(protocol: number, before: readonly Segment[], after: readonly Segment[]): PortFlip[] {
  const flips: PortFlip[] = [];
  for (let [i, j, first] = [0, 0, 0]; first <= LAST_PORT; ) {
    const [old, now] = [before[i], after[j]];
    if (old === undefined || now === undefined) break;
    const last = Math.min(old.last, now.last);
    if (old.allow !== now.allow)
      flips.push({ protocol, except: [], first, last, before: outcome(old), after: outcome(now) });
    if (old.last === last) i++;
    if (now.last === last) j++;
    first = last + 1;
  }
  return flips;
}

function outcome({ allow, rule }: Outcome): Outcome {
  return { allow, rule };
}
