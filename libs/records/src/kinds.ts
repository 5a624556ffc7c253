/**
 * The kinds of records, in the order in which they are applied: the one place that has the names of a kind.
 *
 * The name on the wire is that of the enum (`KIND_SLICE`). Key, label and parser derive from this table.
 */
import { Kind } from "@isthmus/proto";

export interface RecordKind {
  /** The number on the wire. */
  readonly kind: Kind;
  /** First segment of the keys in the store and on the stream, and value of the metric label `kind`. */
  readonly segment: string;
  /** What the key names after the segment. */
  readonly names: readonly string[];
  /** False: sent on the local cluster's stream only, never in a store. */
  readonly exported: boolean;
  /** What a record of it says, in one sentence without a full stop. */
  readonly meaning: string;
}

/** In apply order: identity before endpoint before service. Deletions go in reverse. */
export const RECORD_KINDS: readonly RecordKind[] = [
  {
    kind: Kind.KIND_IDENTITY,
    segment: "identities",
    names: ["number"],
    exported: true,
    meaning: "The labels that an identity number stands for",
  },
  {
    kind: Kind.KIND_NODE,
    segment: "nodes",
    names: ["node"],
    exported: true,
    meaning: "A node: its addresses and pod CIDRs",
  },
  {
    kind: Kind.KIND_ENDPOINT,
    segment: "endpoints",
    names: ["address"],
    exported: true,
    meaning: "An address of a pod with its identity",
  },
  {
    kind: Kind.KIND_SERVICE,
    segment: "services",
    names: ["namespace", "service"],
    exported: true,
    meaning: "What is exported of a Service: its ports, its ClusterIPs, whether it is shared",
  },
  {
    kind: Kind.KIND_SLICE,
    segment: "slices",
    names: ["namespace", "service", "slice"],
    exported: true,
    meaning: "An EndpointSlice: backends with their conditions",
  },
  {
    kind: Kind.KIND_SERVICE_CONFIG,
    segment: "service-configs",
    names: ["namespace", "service"],
    exported: false,
    meaning: "What governs how this cluster consumes a Service: global, affinity",
  },
  {
    kind: Kind.KIND_NODE_CONFIG,
    segment: "node-configs",
    names: ["node"],
    exported: false,
    meaning: "The configuration of one node, sent to that node alone",
  },
];

/** All kinds, in apply order. */
export const KINDS: readonly Kind[] = RECORD_KINDS.map(({ kind }) => kind);

/** The kinds that may be in a store; the others are only sent on the local cluster's stream. */
export const STORE_KINDS: readonly Kind[] = RECORD_KINDS.filter(({ exported }) => exported).map(({ kind }) => kind);

const BY_KIND: ReadonlyMap<Kind, RecordKind> = new Map(RECORD_KINDS.map((each) => [each.kind, each]));
const BY_SEGMENT: ReadonlyMap<string, Kind> = new Map(RECORD_KINDS.map(({ kind, segment }) => [segment, kind]));
const RANK: ReadonlyMap<Kind, number> = new Map(KINDS.map((kind, rank) => [kind, rank]));

/** `slices` for `KIND_SLICE`; "" for a kind this version does not know. */
export function kindSegment(kind: Kind): string {
  return BY_KIND.get(kind)?.segment ?? "";
}

/** Number of names after the segment in keys of a kind; 0 for a kind this version does not know. */
export function namesInKey(kind: Kind): number {
  return BY_KIND.get(kind)?.names.length ?? 0;
}

/** The kind of a relative key by its first segment; undefined for head, fence, config, store and unknown keys. */
export function kindOfKey(key: string): Kind | undefined {
  const slash = key.indexOf("/");
  return slash < 0 ? undefined : BY_SEGMENT.get(key.slice(0, slash));
}

interface Keyed {
  readonly kind: Kind;
  readonly key: string;
}

/** Place of a kind in the apply order, from 0; of a kind of a newer version the last one. */
export function applyRank(kind: Kind): number {
  return RANK.get(kind) ?? KINDS.length;
}

/** Sorts by apply order, then key. A kind of a newer version comes last. */
export function byApplyOrder(a: Keyed, b: Keyed): number {
  const rank = applyRank(a.kind) - applyRank(b.kind);
  return rank !== 0 ? rank : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** Sorts deletions: the reverse of the apply order. */
export function byDeleteOrder(a: Keyed, b: Keyed): number {
  return byApplyOrder(b, a);
}
