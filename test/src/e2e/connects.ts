/** Connects to a Service from a pod and returns the results. */
import type { Cluster } from "./cluster.js";
import { eventually } from "./eventually.js";

export interface Connects {
  /** Outcome to count: `open`, `refused`, `unreachable`, `reset`, `timeout`, … */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Longest connect in milliseconds. */
  readonly slowestMs: number;
  /** Clusters that answered, sorted. */
  readonly clusters: readonly string[];
  /** `cluster/pod` of each answer. */
  readonly answers: readonly string[];
}

/** Makes `count` new connections from the cluster's prober pod, one after another. */
export async function connects(from: Cluster, target: string, count = 20): Promise<Connects> {
  const lines = (await from.probe("tcp", target, String(count))).map((line) => line.split(" "));
  const outcomes: Record<string, number> = {};
  for (const [outcome = ""] of lines) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  const answers = lines.flatMap(([, , answer = ""]) => (answer === "" ? [] : [answer]));
  const clusters = [...new Set(answers.map((answer) => answer.split("/")[0] ?? ""))].sort();
  return { outcomes, slowestMs: Math.max(...lines.map(([, us]) => Number(us) / 1000)), clusters, answers };
}

/** Waits until all of 20 connections are answered, by exactly these clusters together. */
export function answeredBy(from: Cluster, target: string, ...clusters: readonly string[]): Promise<Connects> {
  return eventually(
    `${target} in ${from.plan.name} to be answered by ${clusters.join(" and ")}`,
    () => connects(from, target),
    (seen) => seen.answers.length === 20 && seen.clusters.join() === [...clusters].sort().join(),
  );
}

/** Waits until all of 5 connections are refused. */
export function refused(from: Cluster, target: string): Promise<Connects> {
  return eventually(
    `${target} in ${from.plan.name} to be refused`,
    () => connects(from, target, 5),
    ({ outcomes }) => outcomes["refused"] === 5,
  );
}
