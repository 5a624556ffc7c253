/** How many connects the nodes moved to another backend, by the programs' counters. */
import { MAP_NAMES, Metric, native, readMetric } from "@isthmus/bpf";
import { type LabHandle, pinDirectory } from "@isthmus/lab";

export interface Moves {
  /** Of all nodes, since the lab began. */
  count(): number;
  close(): void;
}

export function openMoves({ plan }: LabHandle): Moves {
  const maps = plan.clusters.flatMap(({ nodes }) =>
    nodes.map((node) => native().openPin(`${pinDirectory(plan, node)}/${MAP_NAMES.metrics}`)),
  );
  return {
    count: () => maps.reduce((sum, map) => sum + readMetric(map, Metric.Moved), 0),
    close() {
      for (const map of maps) map.close();
    },
  };
}
