/** The checks of the faults whose connects are moved to other backends, or cannot be. */
import type { Sample } from "../samples/sample.js";
import {
  answeredWithin,
  type Check,
  connectedWithin,
  connectsKept,
  faultProof,
  onlyOpenLost,
  said,
  servedBy,
  silenced,
  WATCH_SLACK_MS,
} from "./checks.js";
import { FAR, NEAR } from "./clusters.js";
import type { DarkRun, HangRun, KillRun, NodeDarkRun } from "./runs.js";
import { firstAnswer, readyAgain, type Traffic } from "./traffic.js";

export function killed(run: KillRun, traffic: Traffic): readonly Check[] {
  const first = firstAnswer(traffic, FAR, run.injected);
  const { noneReady, firstReady, window } = run;
  // A process ends a little after its SIGKILL.
  const struck = run.struck + WATCH_SLACK_MS;
  const again = readyAgain(traffic, { from: run.struck, to: window.to }, [NEAR]);
  // Not before the end of that request: of concurrent requests, the one due later may have connected earlier.
  const away = first && again !== null ? { from: Math.max(first.end, struck), to: again } : null;
  const back = firstReady === null ? null : { from: firstReady + 1000, to: window.to };
  return [
    faultProof(
      "all NotReady together",
      noneReady !== null && run.killed === 3,
      `${run.killed} killed, ${said(noneReady, run.injected)}`,
    ),
    onlyOpenLost(traffic, window, "reset", struck),
    answeredWithin(traffic, FAR, run.injected, run.struck, 300, "the kill"),
    servedBy(traffic, FAR, away, 1, `until the first ${NEAR} pod is ready`),
    servedBy(traffic, NEAR, back, 0.99, "from 1 s after it is Ready"),
  ];
}

/** Kubernetes says so after the third probe; the agent needs a moment to follow. */
const FOLLOW_MS = 300;

export function hung(run: HangRun, traffic: Traffic): readonly Check[] {
  const { noneReady, firstReady, window } = run;
  const until = noneReady === null ? null : noneReady + FOLLOW_MS;
  const text = "nothing lost but connections that a suspended server's kernel accepted before that";
  const away = until === null || firstReady === null ? null : { from: until, to: firstReady - WATCH_SLACK_MS };
  const back = firstReady === null ? null : { from: firstReady + 1000, to: window.to };
  return [
    faultProof(
      "all NotReady together",
      noneReady !== null && run.suspended === 3,
      `${run.suspended} suspended, ${said(noneReady, run.injected)}`,
    ),
    connectsKept(traffic, window, { text, outcome: "timeout", until, most: Number.POSITIVE_INFINITY }),
    servedBy(traffic, FAR, away, 1, `from ${FOLLOW_MS} ms after that`),
    servedBy(traffic, NEAR, back, 0.99, `from 1 s after the first ${NEAR} pod is Ready`),
  ];
}

/** After silence a connect is moved at its first and second repeat: after 100 and 200 ms, or 300 before Linux 6.5. */
const SLOWEST_MOVED_MS = 350;

export function unreachable(
  run: NodeDarkRun | DarkRun,
  traffic: Traffic,
  isTheirs: (sample: Sample) => boolean,
): readonly Check[] {
  const { struck, window } = run;
  return [
    silenced(traffic, window, run, isTheirs),
    onlyOpenLost(traffic, window, "timeout", struck),
    connectedWithin(traffic, window, SLOWEST_MOVED_MS),
  ];
}
