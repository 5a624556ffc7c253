/**
 * Decides whether a fault passed: one list of checks per fault.
 *
 * In: the recorded run of the fault, and all samples. Out: the figures and every check with its result. A fault
 * passes when all its checks pass.
 */
import type { Mono, Outcome } from "../samples/sample.js";
import {
  answeredByReady,
  type Check,
  faultProof,
  longEnough,
  nothingLost,
  sentAtRate,
  said,
  servedBy,
  trafficMoved,
} from "./checks.js";
import { FAR, NEAR } from "./clusters.js";
import { hung, killed, unreachable } from "./rescue.js";
import type { FaultName, FaultRun, Mark, WipeRun } from "./runs.js";
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

export { FAR, NEAR };

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
  const checks = [
    longEnough(run.window),
    sentAtRate(traffic, run.window),
    answeredByReady(traffic, run.window),
    ...ownChecks(run, traffic),
  ];
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

/** Counted from the watch event if traffic had to move, otherwise from the fault itself. */
function firstRemote(run: FaultRun, traffic: Traffic): number | null {
  const cause = causeOf(run);
  const first = cause.from === null ? undefined : firstAnswer(traffic, FAR, cause.asked);
  return first === undefined || cause.from === null ? null : round(Math.max(0, first.end - cause.from), 0);
}

function causeOf(run: FaultRun): { readonly asked: Mono; readonly from: Mono | null } {
  if (run.name === "hang") return { asked: run.injected, from: run.noneReady };
  if (run.name === "scale-down") return { asked: run.move.requestedAt, from: run.move.seen };
  const move = run.name === "etcd" ? run.moves.find(({ to }) => to === FAR) : undefined;
  return move === undefined
    ? { asked: run.injected, from: run.injected }
    : { asked: move.requestedAt, from: move.seen };
}
