/**
 * Chooses the backends of a table that cannot hold all of them: each cluster gets an equal share, or all of its backends.
 *
 * A cluster with few backends keeps them all, so one that floods a Service displaces none but its own. Of a cluster those
 * stay that come first in the mesh-wide order: the same on every node.
 */
import type { MergedBackend } from "@isthmus/clustermesh";
import { slotHash } from "./slot-hash.js";

/** At most `room` of the backends, in no order; `room` is at least the number of clusters. */
export function fairShare(backends: readonly MergedBackend[], room: number): readonly MergedBackend[] {
  const clusters = new Map<number, MergedBackend[]>();
  for (const backend of backends) {
    const own = clusters.get(backend.clusterId);
    if (own === undefined) clusters.set(backend.clusterId, [backend]);
    else own.push(backend);
  }
  const kept: MergedBackend[] = [];
  let waiting = clusters.size;
  for (const own of [...clusters.values()].sort((a, b) => a.length - b.length || clusterOf(a) - clusterOf(b))) {
    const share = Math.floor((room - kept.length) / waiting--);
    for (const backend of own.length <= share ? own : firstByHash(own, share)) kept.push(backend);
  }
  return kept;
}

function clusterOf(backends: readonly MergedBackend[]): number {
  return backends[0]?.clusterId ?? 0;
}

function firstByHash(backends: readonly MergedBackend[], count: number): readonly MergedBackend[] {
  const hashed = backends.map((backend) => ({ backend, hash: slotHash(backend, 0) }));
  hashed.sort((a, b) => a.hash - b.hash);
  return hashed.slice(0, count).map(({ backend }) => backend);
}
