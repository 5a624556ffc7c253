/** Looks a flow up in a policy set as the programs do: the row of the identity, then the longest prefix of a class. */
import type { IdentityNumber } from "@isthmus/identity";
import type { Direction } from "../model/policy.js";
import type { ClassRow } from "./class-rows.js";
import type { PolicySet } from "./policy-set.js";
import type { Outcome } from "./port-rules.js";
import { NO_RULE } from "./rule-name.js";

/** A flow as policy sees it. */
export interface PolicyQuery {
  /** Of the pod that has the set. */
  readonly direction: Direction;
  /** Of the other end. */
  readonly identity: IdentityNumber;
  /** IP protocol. */
  readonly protocol: number;
  /** Port of the end at which the flow did not begin; of ICMP type << 8 | code; 0 where a protocol has none. */
  readonly port: number;
}

/** Whether the set allows the flow, and by which rule. */
export function lookUp(set: PolicySet, { direction, identity, protocol, port }: PolicyQuery): Outcome {
  const row = set.rows.get(identity) ?? set.others;
  const verdict = direction === "ingress" ? row.in : row.out;
  if (verdict.ports === "all") return verdict.outcome;
  let best: ClassRow | undefined;
  for (const one of verdict.class.rows) {
    if (hasPrefix(one, protocol, port) && (best === undefined || one.bits > best.bits)) best = one;
  }
  return { allow: best?.allow ?? false, rule: best?.rule ?? NO_RULE };
}

function hasPrefix(row: ClassRow, protocol: number, port: number): boolean {
  if (row.bits === 0) return true;
  return row.protocol === protocol && (row.port ^ port) >> (32 - row.bits) === 0;
}
