/** Compares verdicts by what they allow, whichever rule decides. */
import type { Segment } from "./port-rules.js";
import type { PeerVerdict, PolicyClass } from "./verdict.js";

/** True when `before` allows something that `after` does not. */
export function allowsLess(before: PeerVerdict, after: PeerVerdict): boolean {
  if (before.key === after.key) return false;
  const [old, now] = [classOf(before), classOf(after)];
  if (old.base.allow && !now.base.allow) return true;
  const protocols = new Set([...old.protocols.keys(), ...now.protocols.keys()]);
  return [...protocols].some((protocol) => losesPorts(segmentsIn(old, protocol), segmentsIn(now, protocol)));
}

type Allowances = Pick<PolicyClass, "base" | "protocols">;

function classOf(verdict: PeerVerdict): Allowances {
  return verdict.ports === "class" ? verdict.class : { base: verdict.outcome, protocols: new Map() };
}

function segmentsIn({ base, protocols }: Allowances, protocol: number): readonly Segment[] {
  return protocols.get(protocol) ?? [{ first: 0, last: 65535, ...base }];
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
