/**
 * Decides whether a fault passed: one list of checks per fault.
 *
 * In: the recorded run of the fault, and all samples. Out: the figures and every check with its result. A fault
 * passes when all its checks pass.
 */
import type { Mono, Outcome, Sample } from "../samples/sample.js";
import {
  answeredWithin,
  type Check,
  connectedWithin,
  connectsKept,
  faultProof,
  longEnough,
  nothingLost,
  onlyOpenLost,
  sentAtRate,
  servedBy,
  silenced,
  trafficMoved,
  WATCH_SLACK_MS,
} from "./checks.js";
import type { DarkRun, FaultName, FaultRun, HangRun, KillRun, Mark, NodeDarkRun, WipeRun } from "./runs.js";
import {
  type Counts,
  count,
  firstAnswer,
  round,
  slowestConnect,
  type Traffic,
  type Window,
  within,
} from "./traffic.js";

export const NEAR = "east";
export const FAR = "west";

export interface FaultResult extends Counts {
  readonly name: FaultName;
  /** Milliseconds from the cause to the first answer from west; null when there was none. */
  readonly firstRemoteMs: number | null;
  /** Milliseconds until the slowest connect was established; null when none was. */
  readonly slowestConnectMs: number | null;
  readonly passed: boolean;
  readonly checks: readonly Check[];
  readonly window: Window;
  readonly marks: readonly Mark[];
  /** The lost requests, at most MAX_LOSSES: due time and outcome. */
  readonly losses: readonly { readonly due: Mono; readonly outcome: Outcome }[];
}

export const MAX_LOSSES = 1000;

export function judge(run: FaultRun, traffic: Traffic): FaultResult {
  const checks = [longEnough(run.window), sentAtRate(traffic, run.window), ...ownChecks(run, traffic)];
  return {
    name: run.name,
    ...count(traffic, run.window, [NEAR, FAR]),
    firstRemoteMs: firstRemote(run, traffic),
    slowestConnectMs: slowestConnect(traffic, run.window),
    passed: checks.every((check) => check.passed),
    checks,
    window: run.window,
    marks: run.marks,
    losses: within(traffic, run.window)
      .filter((sample) => sample.outcome !== "ok")
      .slice(0, MAX_LOSSES)
      .map(({ due, outcome }) => ({ due, outcome })),
  };
}

function ownChecks(run: FaultRun, traffic: Traffic): readonly Check[] {
  const lost = nothingLost(traffic, run.window);
  // During these faults east has no replicas, or the Service affinity remote, so west must answer every request.
  const aloneInFar = servedBy(traffic, FAR, run.window, 1, "throughout");
  switch (run.name) {
    case "scale-down":
      return [
        faultProof(`${NEAR} has no ready address`, run.move.seen !== null, said(run.move.seen, run.injected)),
        lost,
        ...trafficMoved(traffic, run.move),
      ];
    case "agent":
      return [
        faultProof(
          "new pid",
          run.newPid !== null && run.newPid !== run.oldPid,
          `${run.oldPid}, then ${run.newPid ?? "none"}`,
        ),
        lost,
        aloneInFar,
      ];
    case "etcd":
      return [refused(run.refusedMs), lost, ...run.moves.flatMap((move) => trafficMoved(traffic, move))];
    case "apiserver":
      return [refused(run.refusedMs), lost, aloneInFar];
    case "wipe":
      return [...wiped(run), lost, aloneInFar];
    case "kill":
      return killed(run, traffic);
    case "hang":
      return hung(run, traffic);
    case "node-dark":
      return unreachable(run, traffic, ({ pod }) => run.darkPods.includes(pod));
    case "dark":
      return unreachable(run, traffic, ({ cluster }) => cluster === FAR);
    case "control-lost":
      return [
        refused(run.refusedMs),
        faultProof(`${FAR}'s API server is down`, !run.apiAnswers, run.apiAnswers ? "it answers" : "no answer"),
        lost,
        aloneInFar,
        { text: "head is LIVE again", passed: run.liveAt !== null, detail: said(run.liveAt, run.injected) },
      ];
  }
}

function refused(ms: number): Check {
  return faultProof("port refused 9 s or more", ms >= 9000, `${round(ms / 1000, 1)} s`);
}

function wiped(run: WipeRun): readonly Check[] {
  const took = run.sliceAt === null || run.mapsAt === null ? null : Math.max(0, run.mapsAt - run.sliceAt);
  const changed = run.storeAfter !== null && run.storeAfter !== run.storeBefore;
  return [
    faultProof("store id changed", changed, `${run.storeBefore}, then ${run.storeAfter ?? "none"}`),
    { text: "head is LIVE again", passed: run.liveAt !== null, detail: said(run.liveAt, run.injected) },
    {
      text: `a backend less in ${FAR} is in ${NEAR}'s maps ≤ 1 s after ${FAR}'s slice`,
      passed: took !== null && took <= 1000,
      detail: took === null ? "never" : `${round(took, 0)} ms`,
    },
  ];
}

function killed(run: KillRun, traffic: Traffic): readonly Check[] {
  const first = firstAnswer(traffic, FAR, run.injected);
  const { noneReady, firstReady, window } = run;
  // A process ends a little after its SIGKILL.
  const struck = run.struck + WATCH_SLACK_MS;
  // Not before the end of that request: of concurrent requests, the one due later may have connected earlier.
  const away =
    first && firstReady !== null ? { from: Math.max(first.end, struck), to: firstReady - WATCH_SLACK_MS } : null;
  const back = firstReady === null ? null : { from: firstReady + 1000, to: window.to };
  return [
    faultProof(
      "all NotReady together",
      noneReady !== null && run.killed === 3,
      `${run.killed} killed, ${said(noneReady, run.injected)}`,
    ),
    onlyOpenLost(traffic, window, "reset", struck),
    answeredWithin(traffic, FAR, run.injected, run.struck, 300, "the kill"),
    servedBy(traffic, FAR, away, 1, `until the first ${NEAR} pod is Ready`),
    servedBy(traffic, NEAR, back, 0.99, "from 1 s after that"),
  ];
}

/** Kubernetes says so after the third probe; the agent needs a moment to follow. */
const FOLLOW_MS = 300;

function hung(run: HangRun, traffic: Traffic): readonly Check[] {
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

/** After silence a connect is moved at its first and second repeat, after 100 and 300 ms. */
const SLOWEST_MOVED_MS = 350;

function unreachable(
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

function said(at: Mono | null, since: Mono): string {
  return at === null ? "never" : `after ${round(at - since, 0)} ms`;
}

/** Counted from the watch event if traffic had to move, otherwise from the fault itself. */
function firstRemote(run: FaultRun, traffic: Traffic): number | null {
  const cause = causeOf(run);
  const first = cause.from === null ? undefined : firstAnswer(traffic, FAR, cause.asked);
  return first === undefined || cause.from === null ? null : round(Math.max(0, first.end - cause.from), 0);
}

function causeOf(run: FaultRun): { readonly asked: Mono; readonly from: Mono | null } {
  if (run.name === "scale-down") return { asked: run.move.requestedAt, from: run.move.seen };
  const move = run.name === "etcd" ? run.moves.find(({ to }) => to === FAR) : undefined;
  return move === undefined
    ? { asked: run.injected, from: run.injected }
    : { asked: move.requestedAt, from: move.seen };
}
