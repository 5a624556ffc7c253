/** The recorded run of each fault. A time is null when the event did not happen within its time limit. */
import type { Mono } from "../samples/sample.js";
import type { Window } from "./traffic.js";

export const FAULT_NAMES = [
  "scale-down",
  "agent",
  "etcd",
  "apiserver",
  "wipe",
  "node-dark",
  "kill",
  "hang",
  "dark",
  "control-lost",
] as const;
export type FaultName = (typeof FAULT_NAMES)[number];

/** Faults that only a lab can have: kind has no way to make them. */
export const LAB_FAULTS: readonly FaultName[] = ["node-dark", "dark", "control-lost"];

/** A moment to show: "fault": what was done, "watch": what Kubernetes reported, "heal": what recovered. */
export interface Mark {
  readonly at: Mono;
  readonly kind: "fault" | "watch" | "heal";
  readonly text: string;
}

interface Run {
  readonly window: Window;
  /** When the fault was injected. */
  readonly injected: Mono;
  readonly marks: readonly Mark[];
}

/** A change of a Deployment that moves all traffic to one cluster. */
export interface Move {
  readonly text: string;
  readonly to: string;
  /** When the change was requested. */
  readonly requestedAt: Mono;
  /** When the demo's own EndpointSlice watch reported it. */
  readonly seen: Mono | null;
  /** Until when nothing else changed. */
  readonly until: Mono;
}

export interface ScaleDownRun extends Run {
  readonly name: "scale-down";
  readonly move: Move;
}

export interface AgentRun extends Run {
  readonly name: "agent";
  readonly oldPid: number;
  readonly newPid: number | null;
}

export interface EtcdRun extends Run {
  readonly name: "etcd";
  /** Longest period in which every connection to the port was refused. */
  readonly refusedMs: number;
  readonly moves: readonly Move[];
}

export interface ApiserverRun extends Run {
  readonly name: "apiserver";
  readonly refusedMs: number;
}

export interface WipeRun extends Run {
  readonly name: "wipe";
  readonly storeBefore: string;
  readonly storeAfter: string | null;
  /** When the head of every cluster was LIVE in the new store. */
  readonly liveAt: Mono | null;
  /** A backend removed in west afterwards: when west's slices reported it, and when it was not in east's maps any more. */
  readonly sliceAt: Mono | null;
  readonly mapsAt: Mono | null;
}

export interface KillRun extends Run {
  readonly name: "kill";
  /** Processes that got the signal. */
  readonly killed: number;
  /** When all of them had got it. */
  readonly struck: Mono;
  readonly noneReady: Mono | null;
  readonly firstReady: Mono | null;
}

export interface HangRun extends Run {
  readonly name: "hang";
  /** Processes that got the signal. */
  readonly suspended: number;
  readonly noneReady: Mono | null;
  readonly firstReady: Mono | null;
}

interface UnreachableRun extends Run {
  /** When nothing reached the place any more, and until when nothing did. */
  readonly struck: Mono;
  readonly lifted: Mono;
}

export interface NodeDarkRun extends UnreachableRun {
  readonly name: "node-dark";
  /** Names of the pods on the dark node. */
  readonly darkPods: readonly string[];
}

export interface DarkRun extends UnreachableRun {
  readonly name: "dark";
}

export interface ControlLostRun extends Run {
  readonly name: "control-lost";
  /** Longest period in which every connection to the shared etcd was refused. */
  readonly refusedMs: number;
  /** Whether west's API server answered at the end of the fault. */
  readonly apiAnswers: boolean;
  /** When the head of every cluster was LIVE again and west's API server answered. */
  readonly liveAt: Mono | null;
}

export type FaultRun =
  | ScaleDownRun
  | AgentRun
  | EtcdRun
  | ApiserverRun
  | WipeRun
  | KillRun
  | HangRun
  | NodeDarkRun
  | DarkRun
  | ControlLostRun;
