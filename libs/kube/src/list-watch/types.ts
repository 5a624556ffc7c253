/** Types of a list-watch: the objects that it knows, and the changes to them in order. */
import type { KubeObject } from "../objects.js";
import type { Resource } from "../resources.js";

/** One object; only its projection is kept. */
export interface Item<T> {
  /** `namespace/name`, or `name` of a cluster-scoped object. */
  readonly key: string;
  /** "" for an object without one. */
  readonly uid: string;
  /** The object's resource version. */
  readonly version: bigint;
  /** What `project` returned. */
  readonly value: T;
}

/**
 * One change: deletions first, then sets. An object deleted and created again under its name is in both. The first
 * change is the whole collection.
 */
export interface Change<T> {
  /** The items as they were last known. */
  readonly deletes: readonly Item<T>[];
  /** New and modified objects; at most one for each key. */
  readonly sets: readonly Item<T>[];
  /** max(version of the last list, versions of the events since). */
  readonly position: bigint;
  /** The change comes from a list that was compared with the known objects, not from single events. */
  readonly relist: boolean;
  /** Wall clock in microseconds when the last of it arrived. */
  readonly observedMicros: number;
}

export interface ListWatchOptions<T> {
  /** Watched in its API version; a cluster-scoped one ignores `namespace`. */
  readonly resource: Resource;
  /** All namespaces when absent. */
  readonly namespace?: string;
  /** As the API takes it: `metadata.name=west`. */
  readonly fieldSelector?: string;
  /** As the API takes it: `app=web,tier!=db`. */
  readonly labelSelector?: string;
  /** Returns the needed fields of an object; must not keep a reference to the object itself. */
  readonly project: (object: KubeObject) => T;
  /**
   * The resource may not exist, as before its CRD is installed: it is an empty collection then, and looked at again every 10 s. Its
   * version is read from this resource, which always exists and has small objects. Absent: such an answer is a failure.
   */
  readonly whileAbsent?: Resource;
  /** How the collection is read: "stream" (falls back to pages where the API cannot) or "pages". */
  readonly read?: "stream" | "pages";
  /** Objects per page of a list by pages; 500 when absent. */
  readonly pageSize?: number;
  /** A watch that is silent for longer is opened again: the API sends a bookmark about every minute to types that change. */
  readonly silenceMs?: number;
  /** Bounds of the wait after an attempt that failed or ended too soon; 100 ms and 5 s when absent. */
  readonly retry?: { readonly minMs: number; readonly maxMs: number };
}

export interface ListWatch<T> {
  /** By `Item.key`. Live, also while nothing answers; empty until in sync. */
  readonly items: ReadonlyMap<string, Item<T>>;
  /** 0 until in sync. */
  readonly position: bigint;
  /** True from the first list on, for good. */
  readonly inSync: boolean;
  /** Monotonic milliseconds of the last byte from the API; undefined before the first. */
  readonly lastContact: number | undefined;
  /** The last failure, cleared by the next success. */
  readonly problem: string | undefined;
  /**
   * Waits for a position of at least `floor`, and lists again when it is below. "beyond": a quorum list that was
   * requested after this call is below `floor`. Never rejects; it waits while Kubernetes does not answer.
   */
  reach(floor: bigint): Promise<"reached" | "beyond">;
  /** Lists again by quorum. */
  refresh(): Promise<void>;
  /** Resolves when aborted. */
  run(signal: AbortSignal): Promise<void>;
}
