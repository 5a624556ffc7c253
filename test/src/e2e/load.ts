/** An open-loop client in a pod, and the counts of its requests. */
import { PODS } from "@isthmus/kube";
import type { Cluster } from "./cluster.js";
import { eventually } from "./eventually.js";
import { loader, NAMESPACE } from "./objects.js";

export interface Tally {
  readonly sent: number;
  /** Count by outcome; `o` = answered, see the demo's load.c for the others. */
  readonly outcomes: Readonly<Record<string, number>>;
}

export interface Load {
  /** Waits until the pod has completed. */
  finished(): Promise<Tally>;
}

export interface LoadOptions {
  /** The node on which the pod runs. */
  readonly node: string;
  readonly target: string;
  readonly durationMs: number;
  /** New connections a second; 100 when absent. */
  readonly rate?: number;
}

/** Starts to make new connections; resolves when the first ones have been made. */
export async function startLoad(
  cluster: Cluster,
  { node, target, durationMs, rate = 100 }: LoadOptions,
): Promise<Load> {
  const name = `load-${crypto.randomUUID().slice(0, 8)}`;
  await cluster.client.create(PODS, loader(name, node, target, rate, durationMs));
  const phase = async () => {
    const pod = await cluster.client.get(PODS, name, { namespace: NAMESPACE });
    return (pod as { status?: { phase?: string } } | undefined)?.status?.phase ?? "";
  };
  const log = async () => (await cluster.kubectl("logs", name)).out;
  await eventually("the load to begin", log, (text) => text.includes('"s":'));
  return {
    async finished() {
      await eventually("the load to end", phase, (now) => now === "Succeeded" || now === "Failed", durationMs + 30_000);
      return tally(await log());
    },
  };
}

export function tally(log: string): Tally {
  const outcomes: Record<string, number> = {};
  let sent = 0;
  for (const line of log.split("\n").filter((text) => text.startsWith("{"))) {
    const { s = [], end } = JSON.parse(line) as { s?: readonly [number, string][]; end?: { sent: number } };
    for (const [, outcome] of s) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    sent = end?.sent ?? sent;
  }
  return { sent, outcomes };
}
