/**
 * Chooses the backends of a table that cannot hold all of them: each cluster gets an equal share, or all of its
 * backends.
 *
 * A cluster with few backends keeps all of them, so a cluster that floods a Service displaces only its own backends.
 * The backends of a cluster that come first in the mesh-wide order are kept: the same ones on every node.
 */
import type { MergedBackend } from "@isthmus/clustermesh";
import { slotHash } from "./slot-hash.js";

/** At most `room` of the backends, unordered; `room` must be at least the number of clusters. */
export function fairShare(backends: readonly MergedBackend[], room: number): readonly MergedBackend[] {
  const clusters = new Map<number, MergedBackend[]>();
  for (const backend of backends) {
    const list = clusters.get(backend.clusterId);
    if (list === undefined) clusters.set(backend.clusterId, [backend]);
    else list.push(backend);
  }
  const kept: MergedBackend[] = [];
  let remaining = clusters.size;
  for (const list of [...clusters.values()].sort((a, b) => a.length - b.length || clusterOf(a) - clusterOf(b))) {
    const share = Math.floor((room - kept.length) / remaining--);
    for (const backend of list.length <= share ? list : firstByHash(list, share)) kept.push(backend);
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
