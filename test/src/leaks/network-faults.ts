/** Faults of the network between the clusters' machines: which there are, and what of the pods' packets each concerns. Pure. */
import type { Fault, Place } from "@isthmus/lab";
import type { Random } from "./random.js";

export type FaultOfNetwork = Extract<Fault, { readonly kind: "dark" | "node" | "path" | "loss" }>;

export interface NetworkFault {
  readonly fault: FaultOfNetwork;
  /** Before it was asked for. */
  readonly from: number;
  /** When it was seen to be over; absent as long as it lasts. */
  to?: number;
}

/** A cluster with its nodes. */
interface ClusterPlaces {
  readonly name: string;
  readonly nodes: readonly { readonly name: string }[];
}

const LOST_PERCENT = 5;

/** A fault of the kind at a random place. */
export function randomFault(
  kind: FaultOfNetwork["kind"],
  random: Random,
  clusters: readonly ClusterPlaces[],
): FaultOfNetwork {
  const one = random.pick(clusters);
  const other = random.pick(clusters.filter((cluster) => cluster !== one));
  const [a, b] = [{ cluster: one.name }, { cluster: other.name }];
  switch (kind) {
    case "dark":
      return { kind, ...a };
    case "node":
      return { kind, ...a, node: random.pick(one.nodes).name };
    case "path":
      return { kind, a, b, oneWay: random.chance(0.5) };
    case "loss":
      return { kind, a, b, oneWay: false, percent: LOST_PERCENT };
  }
}

/**
 * True when the fault may lose packets between pods of these nodes, in one direction or both. Those of one node pass on the node
 * itself.
 */
export function isBetween({ fault }: NetworkFault, one: Required<Place>, other: Required<Place>): boolean {
  if (one.node === other.node) return false;
  switch (fault.kind) {
    case "dark":
    case "node":
      return isAt(fault, one) || isAt(fault, other);
    case "path":
    case "loss":
      return (isAt(fault.a, one) && isAt(fault.b, other)) || (isAt(fault.a, other) && isAt(fault.b, one));
  }
}

/** True while it lasts at some moment of a time. */
export function overlaps({ from, to }: { readonly from: number; readonly to?: number }, time: Time): boolean {
  return from <= time.ended && (to === undefined || to >= time.began);
}

export interface Time {
  readonly began: number;
  readonly ended: number;
}

function isAt({ cluster, node }: Place, place: Required<Place>): boolean {
  return cluster === place.cluster && (node === undefined || node === place.node);
}
