/**
 * Connections that the specs of NetworkPolicy found otherwise than the policy says. Pure.
 *
 * A spec tries all pairs of its pods, and once more when some were wrong: only the last try counts. A pod's connections to itself
 * do not count, as in the suite.
 */

const LAST_TRY = "(SECOND TRY)";

/** "24 allowed that should be blocked"; empty when the output has none. `output`: of one spec. */
export function wrongProbes(output: string): string {
  const last = output.slice(Math.max(0, output.lastIndexOf(LAST_TRY)));
  let allowed = 0;
  let blocked = 0;
  let toItself = false;
  for (const line of last.split("\n")) {
    const [, from, to] = /Validation of (\S+) -> (\S+) FAILED/.exec(line) ?? [];
    if (from !== undefined) toItself = from === to;
    if (toItself) continue;
    if (line.includes("instead ALLOWED")) allowed += 1;
    if (line.includes("instead BLOCKED")) blocked += 1;
  }
  return [
    ...(allowed === 0 ? [] : [`${allowed} allowed that should be blocked`]),
    ...(blocked === 0 ? [] : [`${blocked} blocked that should be allowed`]),
  ].join(", ");
}
