/** What a policy set says of one direction of an identity: all ports alike, or a class. Merged: nothing has precedence later. */
import { LAST_PORT } from "../model/policy.js";
import { type ClassRow, classKey, classRows } from "./class-rows.js";
import {
  comparePortRules,
  type Outcome,
  outcomeText,
  type PortRule,
  type Segment,
  sameOutcome,
  segmentsOf,
} from "./port-rules.js";

/** Outcomes by protocol and port. Immutable. */
export interface PolicyClass {
  /** What the rows say: equal exactly for classes with equal rows. */
  readonly key: string;
  /** For the programs. A protocol and port without a row are denied. */
  readonly rows: readonly ClassRow[];
  /** Of protocols that are not in `protocols`. */
  readonly base: Outcome;
  /** All ports of protocols of which rules say something else, in order. */
  readonly protocols: ReadonlyMap<number, readonly Segment[]>;
}

export type PeerVerdict = { readonly key: string } & (
  | { readonly ports: "all"; readonly outcome: Outcome }
  | { readonly ports: "class"; readonly class: PolicyClass }
);

/** The verdict of all rules that apply to a pair in one direction, in any order; `otherwise`: where none of them does. */
export function mergePortRules(rules: readonly PortRule[], otherwise: Outcome): PeerVerdict {
  const sorted = [...rules].sort(comparePortRules);
  const base = sorted.find((rule) => rule.protocol === undefined) ?? otherwise;
  const protocols = new Map<number, readonly Segment[]>();
  for (const { protocol } of sorted) {
    if (protocol === undefined || protocols.has(protocol)) continue;
    const its = sorted.filter((rule) => rule.protocol === undefined || rule.protocol === protocol);
    protocols.set(protocol, segmentsOf(its, otherwise));
  }
  for (const [protocol, segments] of protocols)
    if (segments.every((segment) => sameOutcome(segment, base))) protocols.delete(protocol);
  return protocols.size === 0 ? allPorts(base) : ofClass(base, protocols);
}

/** Protocols of which the verdict says something else than of the others. */
export function protocolsOf(verdict: PeerVerdict): readonly number[] {
  return verdict.ports === "class" ? [...verdict.class.protocols.keys()] : [];
}

/** All ports of a protocol in order. */
export function segmentsIn(verdict: PeerVerdict, protocol: number): readonly Segment[] {
  const its = verdict.ports === "class" ? verdict.class.protocols.get(protocol) : undefined;
  return its ?? [{ first: 0, last: LAST_PORT, ...otherProtocols(verdict) }];
}

/** Of protocols that are not among `protocolsOf`. */
export function otherProtocols(verdict: PeerVerdict): Outcome {
  return verdict.ports === "class" ? verdict.class.base : verdict.outcome;
}

/** The verdict for all protocols and ports. */
export function allPorts({ allow, rule }: Outcome): PeerVerdict {
  return { ports: "all", outcome: { allow, rule }, key: outcomeText({ allow, rule }) };
}

function ofClass(base: Outcome, protocols: ReadonlyMap<number, readonly Segment[]>): PeerVerdict {
  const rows = classRows(base, protocols);
  const key = classKey(rows);
  return { ports: "class", class: { key, rows, base: { allow: base.allow, rule: base.rule }, protocols }, key };
}
