/** A fault that is drilled: how it is driven, and what of the traffic shows that it passed. */
import type { Check, Mark, RigWorld, Traffic, Window } from "@isthmus/demo";

export interface Drill {
  readonly name: string;
  /** In a mesh that serves, with three replicas in each cluster and affinity local. */
  drive(world: RigWorld): Promise<DrillRun>;
}

export interface DrillRun {
  readonly window: Window;
  readonly marks: readonly Mark[];
  checks(traffic: Traffic): readonly Check[];
}
