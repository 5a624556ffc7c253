/**
 * Reserves identity numbers: raises the cursor in the status of the MeshCluster, and gives out the numbers below it, each once.
 *
 * The write names the object's resource version, so two instances never reserve the same numbers. Those that are reserved and not
 * given out are lost with the process.
 */
import { type IdentityNumber, identityLocal, identityNumber, reserveNumbers } from "@isthmus/identity";
import { hasStatus, type KubeClient, MESH_CLUSTERS, type MeshCluster } from "@isthmus/kube";
import { type ClusterId, type ClusterName, MeshError } from "@isthmus/model";

export interface NumberPoolOptions {
  /** Name of the MeshCluster. */
  readonly cluster: ClusterName;
  /** Its bits are in each number. */
  readonly id: ClusterId;
}

export interface NumberPoolModules {
  /** Reads the MeshCluster by quorum. */
  readonly client: Pick<KubeClient, "get" | "mergePatch">;
  /** The highest number that an object has: the cursor is lost when a MeshCluster is deleted. */
  readonly highest: () => IdentityNumber | undefined;
  /** Label sets that have no number now, for the size of a reservation. */
  readonly missing: () => number;
}

export interface NumberPool {
  /**
   * Undefined while there is no MeshCluster. Rejects with `IDENTITIES_EXHAUSTED`, with `CRD_OUTDATED`, and with a KubeError when the
   * cursor cannot be written.
   */
  take(signal: AbortSignal): Promise<IdentityNumber | undefined>;
}

/** At least as many are reserved at once, so that a new label set rarely needs two writes; at most the other. */
const LEAST = 16;
const MOST = 1024;
const DEADLINE_MS = 5000;
/** Other writers of the status may come between read and write. */
const TRIES = 5;

/** Reserves nothing before the first `take`. */
export function createNumberPool({ cluster, id }: NumberPoolOptions, modules: NumberPoolModules): NumberPool {
  const { client, highest, missing } = modules;
  const numbers: number[] = [];
  let reserving: Promise<boolean> | undefined;

  /** False: there is no MeshCluster. */
  async function reserve(signal: AbortSignal): Promise<boolean> {
    for (let left = TRIES; ; left--) {
      const object = await client.get<MeshCluster>(MESH_CLUSTERS, cluster, { signal, timeoutMs: DEADLINE_MS });
      if (object === undefined) return false;
      const range = reserveNumbers(id, {
        cursor: object.status?.identityCursor ?? 0,
        highest: identityLocal(highest() ?? 0),
        count: Math.min(MOST, Math.max(LEAST, missing())),
      });
      try {
        await writeCursor(object, range.last, signal);
      } catch (thrown) {
        if (left > 1 && hasStatus(thrown, 409)) continue;
        throw thrown;
      }
      for (let local = range.first; local <= range.last; local++) numbers.push(local);
      return true;
    }
  }

  async function writeCursor({ metadata }: MeshCluster, cursor: number, signal: AbortSignal): Promise<void> {
    const patch = {
      metadata: { resourceVersion: metadata.resourceVersion },
      status: { identityCursor: cursor },
    };
    const target = { subresource: "status", signal, timeoutMs: DEADLINE_MS } as const;
    const written = await client.mergePatch<MeshCluster>(MESH_CLUSTERS, cluster, patch, target);
    if (written.status?.identityCursor !== cursor)
      throw new MeshError(
        { code: "CRD_OUTDATED" },
        'Cannot reserve identity numbers: the kind MeshCluster has no "status.identityCursor", apply deploy/base of this version',
      );
  }

  return {
    async take(signal) {
      while (numbers.length === 0) {
        reserving ??= reserve(signal).finally(() => {
          reserving = undefined;
        });
        if (!(await reserving)) return undefined;
      }
      return identityNumber(id, numbers.shift() as number);
    },
  };
}
