/** Collects the backends that merging and planning leave out, to explain a Service. */
import { BackendExclusion } from "@isthmus/proto";
import type { ExcludedBackend, Exclusion, MergedBackend, SliceView } from "./types.js";

/** Undefined: nobody asks, which costs nothing. */
export type Exclusions = ExcludedBackend[] | undefined;

/** Adds the backends, with one reason for all. */
export function exclude(exclusions: Exclusions, backends: Iterable<MergedBackend>, exclusion: Exclusion): void {
  if (exclusions !== undefined) for (const backend of backends) exclusions.push({ backend, ...exclusion });
}

/** Adds those of `all` that are not in `kept`. */
export function excludeOthers(
  exclusions: Exclusions,
  all: Iterable<MergedBackend>,
  kept: Iterable<MergedBackend>,
  exclusionOf: (backend: MergedBackend) => Exclusion,
): void {
  if (exclusions === undefined) return;
  const used = new Set(kept);
  for (const backend of all) if (!used.has(backend)) exclusions.push({ backend, ...exclusionOf(backend) });
}

/** The backends of a slice for one of its ports; for its first one if `port` is -1. */
export function sliceBackends(slice: SliceView, port: number): readonly MergedBackend[] {
  return slice.backends(Math.max(port, 0));
}

/** `kept` is the one that is used. */
export function duplicateOf({ cluster }: MergedBackend): Exclusion {
  return {
    cause: BackendExclusion.BACKEND_EXCLUSION_DUPLICATE,
    reason: `Another record of cluster "${cluster}" has the same address and port, and is used`,
  };
}
