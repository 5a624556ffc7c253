/**
 * The list-watches of the local cluster, one per feed, and their resource versions as one vector.
 *
 * In: the Kubernetes API. Out: facts into the feeds, then `onChange` once per change.
 */
import { createListWatch, type ListWatch, type Resource, type Transport } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { VERSION_TYPES } from "@isthmus/records";
import type { Feed } from "./feed/feed.js";
import type { UnreachedFloor } from "./floor-claims.js";

export interface LocalWatchesModules {
  /** Shared by all list-watches; the caller closes it. */
  readonly transport: Transport;
  /** Its wall clock dates changes; its monotonic time is that of `brokenSince`. */
  readonly clock: Clock;
  /** Gets broken connections, refusals and restores. */
  readonly log: Logger;
  /** Each gets a list-watch; no two have the same `versionType`. */
  readonly feeds: readonly Feed[];
  /** Called after the feed has taken the change. `observedMicros`: wall clock. */
  readonly onChange: (observedMicros: number) => void;
  /** Kubernetes was restored, as a quorum list of one type shows. */
  readonly onRestored: () => void;
}

export interface LocalWatches {
  /** Every type has been listed. */
  readonly inSync: boolean;
  /** What has not been listed yet, with why where that is known: "Pods (Cannot GET …)"; "" when everything has been. */
  readonly missing: string;
  /** By index of VERSION_TYPES; 0 for types that are not followed. */
  versions(): readonly bigint[];
  /** Monotonic time of the oldest last contact among the watches that fail now; undefined when none fails. */
  brokenSince(): number | undefined;
  /** Waits until every type has reached its version; returns the types whose version is beyond Kubernetes. */
  reach(versions: readonly bigint[]): Promise<readonly UnreachedFloor[]>;
  /** Lists every type again by quorum. */
  refresh(): Promise<void>;
  /** Resolves when aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** Lists nothing before `run`. */
export function createLocalWatches(modules: LocalWatchesModules): LocalWatches {
  const { transport, clock, log, feeds, onRestored } = modules;
  const watches = new Map(feeds.map((feed) => [feed.versionType, watchFeed(feed)]));
  const all = [...watches.values()];
  const byIndex = VERSION_TYPES.map((type) => watches.get(type));

  function watchFeed<Facts>(feed: Feed<Facts>): ListWatch<Facts> {
    return createListWatch<Facts>(
      {
        resource: feed.resource,
        project: feed.facts,
        ...(feed.whileAbsent === undefined ? {} : { whileAbsent: feed.whileAbsent }),
      },
      {
        ...{ transport, clock, log, onRestored },
        onChange(change) {
          feed.take(change);
          modules.onChange(change.observedMicros);
        },
      },
    );
  }

  return {
    get inSync() {
      return all.every(({ inSync }) => inSync);
    },
    get missing() {
      return feeds
        .map(({ resource, versionType }) => ({ resource, watch: watches.get(versionType) }))
        .filter(({ watch }) => watch?.inSync === false)
        .map(({ resource, watch }) => plural(resource) + (watch?.problem === undefined ? "" : ` (${watch.problem})`))
        .join(", ");
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

/** "MeshIdentities" */
function plural({ kind }: Resource): string {
  return kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`;
}
