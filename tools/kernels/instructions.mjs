/** Parses the number of instructions that a verifier processed per program from the tests' output; compares it with a baseline. */

/** "# sock_connect4: 932 instructions, 4904 walked by the verifier" -> {program, walked}; undefined for other lines. */
export function parseCount(line) {
  const match = /^# (\w+): \d+ instructions, (\d+) walked by the verifier$/.exec(line.trim());
  return match === null ? undefined : { program: match[1], walked: Number(match[2]) };
}

/** One sentence per program that is more than a tenth above the baseline, is not in it, or has no count. */
export function compareCounts(counts, baseline) {
  const findings = [];
  for (const [program, walked] of Object.entries(counts)) {
    const before = baseline[program];
    if (before === undefined) findings.push(`"${program}" walks ${walked} and has no baseline: run with --write`);
    else if (walked > before * 1.1) findings.push(`"${program}" walks ${walked}, the baseline is ${before}`);
  }
  for (const program of Object.keys(baseline)) {
    if (!(program in counts)) findings.push(`"${program}" is in the baseline and was not loaded: run with --write`);
  }
  return findings;
}
