/**
 * The Service ranges in which an address without a frontend is refused now: none, unless all Services of the local
 * cluster are known, since only then is it certain that an address belongs to none.
 */
import type { Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { ServiceRanges } from "./desired/service-ranges/service-ranges.js";
import type { Source } from "./sync/source-types.js";

export interface RefusedRangesModules {
  /** False: nothing is refused. */
  readonly enabled: boolean;
  /** The source of the local cluster. */
  readonly localSource: () => Pick<Source, "wasInSync" | "phase" | "behind"> | undefined;
  /** Read at each `take`. */
  readonly ranges: Pick<ServiceRanges, "exclusive" | "shared">;
  /** Gets ranges that are left alone because nodes or pods have addresses in them. */
  readonly log: Logger;
}

export interface RefusedRanges {
  /** True: what `take` returned last does not fit the state of the local source any more. */
  readonly outdated: boolean;
  /** The ranges that are refused from now on, in order. */
  take(): readonly Prefix[];
}

/** Nothing is refused before the first `take`. */
export function createRefusedRanges({ enabled, localSource, ranges, log }: RefusedRangesModules): RefusedRanges {
  let refusing = false;
  let sharedBefore = "";

  function knowsServices(): boolean {
    const own = localSource();
    return enabled && own?.wasInSync === true && own.phase === "InSync" && !own.behind;
  }

  /** Logs when other ranges than before are left alone because nodes or pods have addresses in them. */
  function reportShared(): void {
    const names = [...ranges.shared].join();
    if (names !== sharedBefore && ranges.shared.size > 0) {
      const [[range, node] = []] = ranges.shared;
      log.warn("Unknown addresses in a Service range are not refused: a node or its pods have addresses in it", {
        range,
        node,
      });
    }
    sharedBefore = names;
  }

  return {
    get outdated() {
      return knowsServices() !== refusing;
    },
    take() {
      refusing = knowsServices();
      if (!refusing) return [];
      reportShared();
      return ranges.exclusive;
    },
  };
}
