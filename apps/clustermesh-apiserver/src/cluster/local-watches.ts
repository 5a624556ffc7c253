/**
 * The list-watches of the local cluster, and their resource versions as one vector.
 *
 * In: the Kubernetes API. Out: facts into the local records, then `onChange` once per change.
 */
import {
  type Change,
  createListWatch,
  ENDPOINT_SLICES,
  type ListWatch,
  NODES,
  SERVICES,
  type Transport,
} from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { VERSION_TYPES } from "@isthmus/records";
import { sliceFacts } from "./endpoints/slice-facts.js";
import type { UnreachedFloor } from "./floor-claims.js";
import type { LocalRecords } from "./local-records.js";
import type { LocalNodes } from "./nodes/local-nodes.js";
import { type NodeFacts, nodeFacts } from "./nodes/node-facts.js";
import { serviceFacts } from "./services/service-facts.js";

export interface LocalWatchesModules {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly records: LocalRecords;
  readonly nodes: LocalNodes;
  readonly onChange: (observedMicros: number) => void;
  readonly onRestored: () => void;
}

export interface LocalWatches {
  readonly inSync: boolean;
  /** By index of VERSION_TYPES; 0 for types that are not followed. */
  versions(): readonly bigint[];
  /** Monotonic time of the oldest last contact among the watches that fail now; undefined when none fails. */
  brokenSince(): number | undefined;
  /** Waits until every type has reached its version; returns the types whose version is beyond Kubernetes. */
  reach(versions: readonly bigint[]): Promise<readonly UnreachedFloor[]>;
  /** Lists every type again by quorum. */
  refresh(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

export function createLocalWatches(modules: LocalWatchesModules): LocalWatches {
  const { records } = modules;
  const watches = {
    services: createListWatch({ resource: SERVICES, project: serviceFacts }, following(records.takeServices)),
    endpointslices: createListWatch({ resource: ENDPOINT_SLICES, project: sliceFacts }, following(records.takeSlices)),
    nodes: createListWatch(
      { resource: NODES, project: nodeFacts },
      following((change: Change<NodeFacts>) => {
        records.takeNodes(change);
        modules.nodes.take(change);
      }),
    ),
  };
  const all: readonly ListWatch<unknown>[] = Object.values(watches);
  const byIndex: readonly (ListWatch<unknown> | undefined)[] = VERSION_TYPES.map(
    (type) => (watches as Readonly<Record<string, ListWatch<unknown>>>)[type],
  );

  function following<T>(take: (change: Change<T>) => void) {
    const { transport, clock, log, onRestored } = modules;
    const onChange = (change: Change<T>) => {
      take(change);
      modules.onChange(change.observedMicros);
    };
    return { transport, clock, log, onChange, onRestored };
  }

  return {
    get inSync() {
      return all.every(({ inSync }) => inSync);
    },
    versions: () => byIndex.map((watch) => watch?.position ?? 0n),
    brokenSince() {
      const broken = all.filter(({ problem }) => problem !== undefined);
      return broken.length === 0 ? undefined : Math.min(...broken.map(({ lastContact }) => lastContact ?? 0));
    },
    async reach(versions) {
      const outcomes = await Promise.all(byIndex.map((watch, i) => watch?.reach(versions[i] ?? 0n)));
      return VERSION_TYPES.flatMap((type, i) => {
        if (outcomes[i] !== "beyond") return [];
        return { type, floor: versions[i] ?? 0n, have: byIndex[i]?.position ?? 0n };
      });
    },
    async refresh() {
      await Promise.all(all.map((watch) => watch.refresh()));
    },
    async run(signal) {
      await Promise.all(all.map((watch) => watch.run(signal)));
    },
  };
}
