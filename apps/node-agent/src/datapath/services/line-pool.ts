/**
 * Free lines of the table segments. A table is a run of lines and never crosses a segment.
 *
 * Most tables have one line: free single lines are kept in a stack. Longer runs are cut first-fit from the free runs;
 * adjacent ones are joined only when no run is long enough.
 */
export interface Run {
  /** First line: segment * linesPerSegment + index in it. */
  readonly line: number;
  /** Number of lines, all in one segment. */
  readonly lines: number;
}

export interface LinePool {
  /** First line of a run; undefined when no segment has one that long. */
  take(lines: number): number | undefined;
  /** Frees a run that was taken or adopted, once. */
  give(run: Run): void;
  /** Adds the lines of one more segment. */
  grow(): void;
  /** Lines that are taken, in all segments. */
  readonly used: number;
  /** Lines of the segments that exist. */
  readonly capacity: number;
}

/** `taken`: runs that were adopted, disjoint and inside the segments. */
export function createLinePool(linesPerSegment: number, segments: number, taken: readonly Run[]): LinePool {
  const singles: number[] = [];
  let runs: Run[] = [];
  let capacity = 0;
  let used = taken.reduce((sum, run) => sum + run.lines, 0);

  function free(line: number, lines: number): void {
    if (lines === 1) singles.push(line);
    else if (lines > 1) runs.push({ line, lines });
  }

  function cut(lines: number): number | undefined {
    const at = runs.findIndex((run) => run.lines >= lines);
    const run = runs[at];
    if (run === undefined) return undefined;
    const rest = { line: run.line + lines, lines: run.lines - lines };
    if (rest.lines > 1) runs[at] = rest;
    else {
      runs.splice(at, 1);
      free(rest.line, rest.lines);
    }
    return run.line;
  }

  /** Joins neighbours of one segment. */
  function join(): void {
    const all = [...runs, ...singles.splice(0).map((line) => ({ line, lines: 1 }))].sort((a, b) => a.line - b.line);
    runs = [];
    let open: Run | undefined;
    for (const run of all) {
      const touches = open !== undefined && open.line + open.lines === run.line && run.line % linesPerSegment !== 0;
      if (open !== undefined && touches) open = { line: open.line, lines: open.lines + run.lines };
      else {
        if (open !== undefined) free(open.line, open.lines);
        open = run;
      }
    }
    if (open !== undefined) free(open.line, open.lines);
  }

  /** Frees the gaps between adopted runs of a segment. */
  function freeGaps(segment: number): void {
    let at = segment * linesPerSegment;
    const end = at + linesPerSegment;
    const own = taken.filter((run) => run.line >= at && run.line < end).sort((a, b) => a.line - b.line);
    for (const run of own) {
      free(at, run.line - at);
      at = run.line + run.lines;
    }
    free(at, end - at);
    capacity += linesPerSegment;
  }

  for (let segment = 0; segment < segments; segment++) freeGaps(segment);

  return {
    take(lines) {
      let line = lines === 1 ? (singles.pop() ?? cut(1)) : cut(lines);
      if (line === undefined && lines > 1) {
        join();
        line = cut(lines);
      }
      if (line !== undefined) used += lines;
      return line;
    },
    give(run) {
      used -= run.lines;
      free(run.line, run.lines);
    },
    grow: () => freeGaps(capacity / linesPerSegment),
    get used() {
      return used;
    },
    get capacity() {
      return capacity;
    },
  };
}
