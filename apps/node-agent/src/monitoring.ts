/** What this process shows to operators: metrics, and whether it is ready. `/readyz` checks this node only. */
import { createMetrics, startHealth, startMetrics } from "@isthmus/observe";
import { type AgentMetrics, createAgentMetrics } from "./agent-metrics.js";

export interface MonitoringOptions {
  /** Address of /livez, /readyz and /metrics. */
  readonly health: string;
  /** Address on which metrics are served to other hosts; undefined = not served. */
  readonly metricsAddress: string | undefined;
}

export interface Monitoring {
  /** May be counted before anything is served. */
  readonly metrics: AgentMetrics;
  /** What the start is waiting for, which keeps the process from being ready; undefined once it has started. */
  waitFor(what: string | undefined): void;
  /** The Service programs are loaded; `problem`: why pods would run without them, undefined = pods have them. */
  watchPrograms(problem: () => string | undefined): void;
  /** Serves metrics to other hosts, if that is configured. Rejects with `ADDRESS_IN_USE` or `ADDRESS`. */
  serveMetrics(): Promise<void>;
  /** Serves health, once. Rejects likewise. */
  serveHealth(): Promise<void>;
  /** Closes the servers that were started. */
  close(): Promise<void>;
}

/** `first`: what the start waits for first. Nothing is served yet. */
export function createMonitoring(options: MonitoringOptions, first: string): Monitoring {
  const registry = createMetrics({ process: true });
  const metrics = createAgentMetrics(registry);
  const servers: { close(): Promise<void> }[] = [];
  let waiting: string | undefined = first;
  let programs: () => string | undefined = () => "not loaded yet";
  const ready = [
    { name: "started", check: () => waiting },
    { name: "service programs", check: () => programs() },
  ];
  let healthServed = false;
  return {
    metrics,
    waitFor(what) {
      waiting = what;
    },
    watchPrograms(problem) {
      programs = problem;
    },
    async serveMetrics() {
      if (options.metricsAddress !== undefined) servers.push(await startMetrics(options.metricsAddress, registry));
    },
    async serveHealth() {
      if (healthServed) return;
      servers.push(await startHealth({ address: options.health }, { metrics: registry, ready }));
      healthServed = true;
    },
    close: async () => void (await Promise.all(servers.map((server) => server.close()))),
  };
}
