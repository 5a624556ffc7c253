/**
 * Answers an agent whose floor is above the local cluster's position, or of an unknown store id: waits until Kubernetes has
 * reached the floor, or until a quorum read shows why it cannot (ADR 10).
 */
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Position } from "@isthmus/proto";
import { sameBytes, versionsOf } from "@isthmus/records";
import { retry } from "@isthmus/runtime";
import { type FloorClaims, MAX_LOST_REVISIONS } from "./floor-claims.js";
import type { LocalWatches } from "./local-watches.js";

export interface CatchUpModules {
  /** Delays the listings of one node, and the next comparison after a refused floor. */
  readonly clock: Clock;
  /** Gets a warning for each refused floor. */
  readonly log: Logger;
  /** The object that `onServed` of the source marks nodes in. */
  readonly claims: FloorClaims;
  /** Lists Kubernetes by quorum when a floor is not reached. */
  readonly watches: LocalWatches;
  /** The store id that agents are served; undefined before the first. */
  readonly storeId: () => Uint8Array | undefined;
  /** Reads the saved epoch by quorum. */
  readonly readEpoch: (signal: AbortSignal) => Promise<string>;
  /** Called with the saved epoch once everything was listed again; it may be the current one. */
  readonly onConfirmed: (epoch: string) => void;
  /** Called when a floor proves a restore; begins a relist, for which `whenRelisted` then waits. */
  readonly onRestored: () => void;
  /** Resolves when everything has been listed again after a restore; at once without one. */
  readonly whenRelisted: () => Promise<void>;
}

/** A refused floor is compared again after this time: Kubernetes may reach it by then. */
const REFUSED_RETRY_MS = 30_000;

/** Returns the `catchUp` of a StreamSource. */
export function createCatchUp(modules: CatchUpModules) {
  const { clock, log, claims, watches, whenRelisted } = modules;

  /** An agent has another store id than the current one: the saved epoch decides which is valid. */
  async function confirm(signal: AbortSignal): Promise<void> {
    const saved = await quorumEpoch(signal);
    await watches.refresh();
    await whenRelisted();
    modules.onConfirmed(saved);
  }

  /** While there is no answer, the source stays withheld from the agent whose store id is unknown. */
  function quorumEpoch(signal: AbortSignal): Promise<string> {
    return retry(() => modules.readEpoch(signal), { minMs: 200, maxMs: 5000 }, { clock, signal });
  }

  return async (floor: Position, signal: AbortSignal, node = ""): Promise<void> => {
    await clock.delay(claims.reserveListing(node), signal);
    const have = modules.storeId();
    if (have !== undefined && !sameBytes(have, floor.storeId)) return confirm(signal);
    for (;;) {
      const beyond = await watches.reach(versionsOf(floor));
      await whenRelisted();
      // This process detected a restore meanwhile: the new epoch is served.
      if (beyond.length === 0 || !sameBytes(modules.storeId() ?? floor.storeId, floor.storeId)) return;
      if (claims.judge(node, beyond) === "restored") {
        modules.onRestored();
        return whenRelisted();
      }
      log.warn("Agent floor refused: it is beyond Kubernetes and does not prove a restore", {
        node,
        beyond,
        limit: MAX_LOST_REVISIONS,
      });
      await clock.delay(REFUSED_RETRY_MS, signal);
    }
  };
}
