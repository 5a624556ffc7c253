/** Writes out/demo.json, for scripts. Fields are only added, never removed. */
import type { FaultReport, Report } from "../judge/report.js";
import { round } from "../judge/traffic.js";
import type { Sample } from "../samples/sample.js";

export function reportJson(report: Report): string {
  const { passed, problem, rate, startedAt, seconds } = report;
  const { attempts, succeeded, successes } = report.deniedClient;
  const successesS = successes.map(({ due }) => round((due - report.begun) / 1000, 3));
  const deniedClient = { attempts, succeeded, successesS, successes: successes.map(successJson) };
  const faults = report.faults.map((fault) => faultJson(fault, report.begun));
  return `${JSON.stringify({ faults, deniedClient, passed, problem, rate, startedAt, seconds }, null, 2)}\n`;
}

function successJson({ due, connected, outcome, cluster, pod }: Sample) {
  const connectMs = round((connected ?? due) - due, 1);
  return { connectMs, outcome, answeredBy: outcome === "ok" ? `${cluster}/${pod}` : null };
}

function faultJson(fault: FaultReport, begun: number) {
  const {
    name,
    sent,
    expected,
    ok,
    lost,
    longestGapMs,
    firstRemoteMs,
    share,
    passed,
    checks,
    slowestConnectMs,
    moved,
  } = fault;
  const at = (mono: number) => round((mono - begun) / 1000, 3);
  const window = { fromS: at(fault.window.from), toS: at(fault.window.to) };
  const marks = fault.marks.map((mark) => ({ atS: at(mark.at), kind: mark.kind, text: mark.text }));
  const losses = fault.losses.map(({ due, outcome }) => ({ atS: at(due), outcome }));
  return {
    name,
    sent,
    ok,
    lost,
    longestGapMs,
    firstRemoteMs,
    share,
    passed,
    expected,
    window,
    checks,
    marks,
    losses,
    slowestConnectMs,
    moved,
  };
}
