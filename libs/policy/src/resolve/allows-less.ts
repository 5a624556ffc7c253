/** Compares verdicts by what they allow, whichever rule decides. */
import type { Segment } from "./port-rules.js";
import { otherProtocols, type PeerVerdict, protocolsOf, segmentsIn } from "./verdict.js";

/** True when `before` allows something that `after` does not. */
export function allowsLess(before: PeerVerdict, after: PeerVerdict): boolean {
  if (before.key === after.key) return false;
  if (otherProtocols(before).allow && !otherProtocols(after).allow) return true;
  const protocols = new Set([...protocolsOf(before), ...protocolsOf(after)]);
  return [...protocols].some((protocol) => losesPorts(segmentsIn(before, protocol), segmentsIn(after, protocol)));
}

/** Both have all ports in order. */
function losesPorts(before: readonly Segment[], after: readonly Segment[]): boolean {
  let i = 0;
  for (const segment of before) {
    while ((after[i]?.last ?? segment.first) < segment.first) i++;
    if (!segment.allow) continue;
    for (let j = i; (after[j]?.first ?? Number.POSITIVE_INFINITY) <= segment.last; j++) {
      if (after[j]?.allow === false) return true;
    }
  }
  return false;
}
