/**
 * The pod ranges of the mesh in mesh_pod_ranges: the pod CIDRs of the nodes of all clusters.
 *
 * A range that no node has is removed if this process wrote it for a node; if not, its node may not be known yet, so it
 * is removed once every known source is in sync.
 */
import { PodRangeKey, PodRangeRow } from "@isthmus/bpf";
import type { Clock } from "@isthmus/model";
import { bytesKey, isV4, prefixMask } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Node } from "@isthmus/proto";
import { createDeltaTracker, type HashPort, insertMissing, removeExtra } from "@isthmus/reconcile";
import { inSlices, inTurns } from "@isthmus/runtime";
import { podCidrsOf } from "@isthmus/records";
import type { NodeName } from "../desired/nodes/nodes.js";
import { createPassLoop } from "../network/pass-loop.js";

export interface PodRangesModules {
  /** Keys are `struct pod_range_key`. */
  readonly port: HashPort;
  /** The nodes of all clusters now. */
  readonly nodes: () => ReadonlyMap<NodeName, Node>;
  /** Every known source is in sync. */
  readonly complete: () => boolean;
  /** Gets each new problem. */
  readonly log: Logger;
  /** Times the retries. */
  readonly clock: Clock;
  /** Ends the passes; the ranges stay. */
  readonly signal: AbortSignal;
}

export interface PodRanges {
  /** The records of these nodes changed, or which sources are in sync. */
  update(names: Iterable<NodeName>): void;
  /** Ranges in the map. */
  readonly used: number;
}

const NODES_PER_SLICE = 64;

/** Adopts what the map holds, and writes nothing before the first `update`. */
export async function openPodRanges(modules: PodRangesModules): Promise<PodRanges> {
  const { port, nodes, complete, log, clock, signal } = modules;
  const tracker = createDeltaTracker();
  for (const [key, value] of await port.load()) tracker.setActual(key, bytesKey(value));
  const changed = new Set<NodeName>();
  /** The ranges of each node. */
  const byNode = new Map<NodeName, readonly string[]>();
  /** The nodes that have a range: two for a moment, when it is given to another one. */
  const users = new Map<string, Set<NodeName>>();
  /** Ranges that were desired once and are not any more. */
  const dropped = new Set<string>();

  function take(name: NodeName): void {
    changed.delete(name);
    const cluster = Number(name.slice(0, name.indexOf("/")));
    const ranges = rangesOf(nodes().get(name));
    for (const range of byNode.get(name) ?? []) {
      const others = users.get(range);
      if (others?.delete(name) !== true || others.size > 0) continue;
      users.delete(range);
      tracker.deleteDesired(range);
      dropped.add(range);
    }
    if (ranges.length === 0) byNode.delete(name);
    else byNode.set(name, ranges);
    for (const range of ranges) {
      users.set(range, (users.get(range) ?? new Set()).add(name));
      tracker.setDesired(range, bytesKey(PodRangeRow.encode({ cluster, flags: 0 })));
      dropped.delete(range);
    }
  }

  const loop = createPassLoop({
    clock,
    signal,
    async pass() {
      await inTurns(inSlices(changed, NODES_PER_SLICE, take));
      const failed = await insertMissing(port, tracker);
      const [error] = failed.values();
      const gone = [...tracker.toRemove].filter((key) => !tracker.desired.has(key) && (complete() || dropped.has(key)));
      await removeExtra(port, tracker, gone);
      for (const key of gone) if (!tracker.actual.has(key)) dropped.delete(key);
      return error?.message;
    },
    failed: (reason) =>
      log.warn("Cannot write some pod ranges, packets of their pods go through the stack, retrying", { reason }),
  });
  return {
    update(names) {
      for (const name of names) changed.add(name);
      void loop.trigger();
    },
    get used() {
      return tracker.actual.size;
    },
  };
}

/** Keys of the IPv4 ranges of a node. */
function rangesOf(node: Node | undefined): readonly string[] {
  const ranges = (node === undefined ? [] : podCidrsOf(node)).filter(({ address }) => isV4(address));
  return ranges.map(({ address, length }) => {
    const mask = prefixMask(length);
    // As the kernel compares it: two texts of one range must be one entry here too.
    return bytesKey(PodRangeKey.encode({ length, addr: address.map((byte, i) => byte & (mask[i] ?? 0)) }));
  });
}
