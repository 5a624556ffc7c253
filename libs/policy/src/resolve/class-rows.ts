/** Rows of a class: outcomes by longest prefix over protocol and port, as the programs look them up. */
import { LAST_PORT } from "../model/policy.js";
import { type Outcome, outcomeText, type Segment, sameOutcome } from "./port-rules.js";
import { NO_RULE } from "./rule-name.js";

export interface ClassRow extends Outcome {
  /** Significant bits of protocol (8), padding (8) and port (16): 0 = all protocols, 16 = all ports of one, up to 32. */
  readonly bits: number;
  /** IP protocol; 0 when `bits` is 0. */
  readonly protocol: number;
  /** First port of the range that `bits` makes. */
  readonly port: number;
}

/** Bits of the key before the port. */
const PORT_AT = 16;
const PORT_BITS = 16;

/**
 * `base`: of protocols that `protocols` does not have. Segments that are as the base need no rows, and what is denied by no rule
 * needs none either. No row is inside of another one of its protocol.
 */
export function classRows(base: Outcome, protocols: ReadonlyMap<number, readonly Segment[]>): readonly ClassRow[] {
  const isPlain = !base.allow && base.rule === NO_RULE;
  const rows: ClassRow[] = isPlain ? [] : [{ bits: 0, protocol: 0, port: 0, ...outcomeOf(base) }];
  for (const protocol of [...protocols.keys()].sort((a, b) => a - b)) {
    for (const segment of protocols.get(protocol) ?? []) {
      if (sameOutcome(segment, base)) continue;
      for (const { port, bits } of portPrefixes(segment.first, segment.last))
        rows.push({ bits: PORT_AT + bits, protocol, port, ...outcomeOf(segment) });
    }
  }
  return rows;
}

/** What the rows of a class say: equal exactly for equal rows in the order of `classRows`. */
export function classKey(rows: readonly ClassRow[]): string {
  return rows
    .map(({ protocol, port, bits, allow, rule }) => `${protocol}:${port}/${bits}${outcomeText({ allow, rule })}`)
    .join(" ");
}

/** Brings the rows of a class into the order of `classRows`. */
export function compareClassRows(a: ClassRow, b: ClassRow): number {
  return Number(a.bits > 0) - Number(b.bits > 0) || a.protocol - b.protocol || a.port - b.port;
}

/** The fewest prefixes of 16 bits that together have exactly these ports. */
export function portPrefixes(first: number, last: number): readonly { readonly port: number; readonly bits: number }[] {
  const prefixes: { port: number; bits: number }[] = [];
  for (let port = first; port <= last; ) {
    let size = port === 0 ? LAST_PORT + 1 : port & -port;
    while (port + size - 1 > last) size /= 2;
    prefixes.push({ port, bits: PORT_BITS - Math.log2(size) });
    port += size;
  }
  return prefixes;
}

function outcomeOf({ allow, rule }: Outcome): Outcome {
  return { allow, rule };
}
