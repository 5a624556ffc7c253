/** Gauges of what each peer has of its budget, and the budget: read at every scrape. */
import type { Metrics } from "@isthmus/observe";
import { SourceStatus } from "@isthmus/proto";
import type { Budget } from "./budget.js";
import type { RemoteSource } from "./remote-source.js";

export function watchBudgets(metrics: Metrics, budget: Budget, list: () => readonly RemoteSource[]): void {
  for (const [part, what] of [
    ["records", "Records"],
    ["bytes", "Bytes of keys and values"],
  ] as const) {
    metrics.gauge(`mesh_source_${part}`, `${what} held of a peer`, ["cluster"], (gauge) => {
      for (const source of list()) {
        const { cluster } = source;
        if (source.status() === SourceStatus.SOURCE_STATUS_REMOVED) gauge.remove({ cluster });
        else gauge.set(source.usage()[part], { cluster });
      }
    });
    metrics.gauge(`mesh_source_${part}_limit`, `${what} that are taken of a peer`).set(budget[part]);
  }
}
