/** Several commits of an engine, as if they were one. */

import type { IdentityNumber } from "@isthmus/identity";
import type { PeerRow, PolicyEngine, PolicySet, SubjectChange } from "@isthmus/policy";

export interface Commits {
  commit(): void;
  /** Of all commits: the last set, and whether any of them tightened. */
  readonly subjects: ReadonlyMap<string, SubjectChange>;
  /** Of all commits, also of sets that were replaced since. */
  readonly rows: ReadonlyMap<PolicySet, ReadonlyMap<IdentityNumber, PeerRow | undefined>>;
}

/** Without a commit. */
export function createCommits(engine: Pick<PolicyEngine, "commit">): Commits {
  const subjects = new Map<string, SubjectChange>();
  const rows = new Map<PolicySet, Map<IdentityNumber, PeerRow | undefined>>();
  return {
    subjects,
    rows,
    commit() {
      const change = engine.commit();
      for (const [id, { set, tightens }] of change.subjects)
        subjects.set(id, { set, tightens: tightens || (subjects.get(id)?.tightens ?? false) });
      for (const [set, its] of change.rows) {
        const all = rows.get(set) ?? new Map<IdentityNumber, PeerRow | undefined>();
        rows.set(set, all);
        for (const [number, row] of its) all.set(number, row);
      }
    },
  };
}
