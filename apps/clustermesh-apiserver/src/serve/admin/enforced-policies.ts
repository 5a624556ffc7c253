/**
 * On how many nodes each policy is enforced, by what their agents report (pure).
 *
 * In: the local cluster's records, and of each node the last report of its agent. A node counts for a policy when its agent says that
 * it has its record in force: the record did not change after the position of the report, is not among those that it refuses, and
 * the numbers of both add up to the records that there are. Silence counts for nothing: a node whose agent reports no position, does
 * not name all that it refuses, or is of a version without reports, counts for no policy.
 */
import { Kind } from "@isthmus/proto";
import { kindOfKey } from "@isthmus/records";
import type { EnforcedPolicies, ReportedPolicies } from "../../ports/enforced-policies.js";
import type { StreamSource } from "../../ports/stream-source.js";
import { positionText } from "../agents/source-encoder.js";
import { createChangedAfter, type Lacking } from "./applied-records.js";

export interface PolicyNode {
  /** The name of the Node object. */
  readonly node: string;
  /** Its agent is connected and says that it enforces policies; otherwise the node counts for none. */
  readonly enforces: boolean;
  /** Undefined: the agent has not reported, as those of the first version never do. */
  readonly reported: ReportedPolicies | undefined;
}

/** Nodes that are named in the reasons for one policy. */
const MAX_NAMED = 3;

/** Sentences, the first of which are kept. */
interface Sentences {
  readonly first: string[];
  count: number;
}

/** `nodes` undefined: not known yet; undefined then, and for a cluster without nodes. Counts as of this call. */
export function enforcedPolicies(
  source: StreamSource,
  nodes: readonly PolicyNode[] | undefined,
): EnforcedPolicies | undefined {
  if (nodes === undefined || nodes.length === 0) return undefined;
  const { count: records } = source.index.digest(Kind.KIND_POLICY);
  const changedAfter = createChangedAfter({
    kind: Kind.KIND_POLICY,
    nameOf: (key) => (kindOfKey(key) === Kind.KIND_POLICY ? key : undefined),
  });
  /** Nodes that count for some policies, by the position of their reports. */
  const groups = new Map<string, { readonly changed: Exclude<Lacking, "all">; readonly reports: ReportedPolicies[] }>();
  let others = 0;
  const refused = new Map<string, Sentences>();
  const unknown: Sentences = { first: [], count: 0 };

  for (const { node, enforces, reported } of nodes) {
    const changed = reported?.position === undefined ? "all" : changedAfter(source, reported.position);
    if (changed !== "all")
      for (const [key, reason] of reported?.refused ?? [])
        if (!changed.has(key)) add(refused, key, `refused by ${node}: ${reason}`);
    const problem = enforces ? problemOf(reported, changed, records) : undefined;
    if (problem !== undefined) push(unknown, `not known of ${node}: ${problem}`);
    if (!enforces || problem !== undefined || changed === "all" || reported === undefined) {
      others++;
      continue;
    }
    const at = positionText(reported.position);
    const group = groups.get(at) ?? { changed, reports: [] };
    groups.set(at, group);
    group.reports.push(reported);
  }
  const lacking = new Map<string, number>();
  const lack = (key: string, nodes: number) => lacking.set(key, (lacking.get(key) ?? 0) + nodes);
  for (const { changed, reports } of groups.values()) {
    for (const key of changed) lack(key, reports.length);
    for (const { refused } of reports) for (const key of refused.keys()) if (!changed.has(key)) lack(key, 1);
  }
  return {
    nodes: nodes.length,
    on: (key) => nodes.length - others - (lacking.get(key) ?? 0),
    why(key) {
      const own = refused.get(key);
      const named = [...(own?.first ?? []), ...unknown.first].slice(0, MAX_NAMED);
      const more = (own?.count ?? 0) + unknown.count - named.length;
      return more === 0 ? named : [...named, `${more} more`];
    },
  };
}

/** Why the node counts for no policy, though its agent says that it enforces them; undefined: it counts for some. */
function problemOf(reported: ReportedPolicies | undefined, changed: Lacking, records: number): string | undefined {
  if (reported === undefined)
    return "its agent, of an older version, does not report which policies are in force; upgrade it";
  const { inForce, refused, moreRefused } = reported;
  if (moreRefused > 0) return `its agent refuses ${refused.size + moreRefused} policies and does not name all`;
  // While some records are newer than the report, the number of those that it is about is not known.
  if (changed === "all" || changed.size > 0 || inForce + refused.size === records) return undefined;
  return `its agent knows ${inForce + refused.size} of ${records} policies`;
}

function add(all: Map<string, Sentences>, key: string, sentence: string): void {
  const sentences = all.get(key) ?? { first: [], count: 0 };
  all.set(key, sentences);
  push(sentences, sentence);
}

function push(sentences: Sentences, sentence: string): void {
  if (sentences.count++ < MAX_NAMED) sentences.first.push(sentence);
}
