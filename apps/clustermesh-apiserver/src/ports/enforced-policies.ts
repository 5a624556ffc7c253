/** What agents report of policies, and on how many nodes each is enforced. */
import type { Position } from "@isthmus/proto";

/** What an agent says of the POLICY records of its cluster. */
export interface ReportedPolicies {
  /** Of records that changed after it nothing is said; undefined: of none anything is. */
  readonly position: Position | undefined;
  /** Number of records that are in force as they are. */
  readonly inForce: number;
  /** Reasons by the keys of records that are not; printable. */
  readonly refused: ReadonlyMap<string, string>;
  /** Number of refused records that are not in `refused`. */
  readonly moreRefused: number;
}

/** By the keys of records. */
export interface EnforcedPolicies {
  /** Number of nodes of the cluster. */
  readonly nodes: number;
  /** Number of nodes that enforce the generation in force. */
  on(key: string): number;
  /** Why others do not: a sentence for each of the first, and one that counts the rest; printable. */
  why(key: string): readonly string[];
}
