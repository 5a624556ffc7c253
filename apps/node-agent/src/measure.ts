/**
 * Measures this agent on its real path: encoded message, core, merge, plan, maps.
 *
 * In: any kernel port (bench/ passes real maps). Out: milliseconds. Used by `make bench`; asserts nothing.
 */

import { readFileSync } from "node:fs";
import type { DatapathPort } from "@isthmus/bpf";
import { type ClusterId, type ClusterName, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { PeerState, ToAgent } from "@isthmus/proto";
import type { Slices } from "@isthmus/runtime";
import { createNodeState, type NodeState } from "./node-state.js";

/** Times of one first load. */
export interface FirstLoad {
  /** Opening: read the maps, adopt. */
  readonly adoptMs: number;
  /** From all records in memory to all maps written: decode, merge, plan, write. */
  readonly wholeMs: number;
  /** The part of `wholeMs` from the merged table to all maps written. */
  readonly mapsMs: number;
  /** `wholeMs` and `mapsMs` as CPU time of the main thread, which other load on the machine hardly changes. */
  readonly wholeCpuMs: number;
  readonly mapsCpuMs: number;
  /** The longest turn of the event loop. */
  readonly blockMs: number;
}

export interface MeasuredNode {
  readonly state: NodeState;
  readonly load: FirstLoad;
  /** Applies one encoded `ToAgent` message; milliseconds until the maps hold it. */
  apply(message: Uint8Array): Promise<number>;
  stop(): void;
}

/** Starts an agent on a kernel and loads the local cluster's records. `messages`: its first sync, encoded. */
export async function measureNode(port: DatapathPort, messages: readonly Uint8Array[]): Promise<MeasuredNode> {
  const stop = new AbortController();
  const started = performance.now();
  const state = await createNodeState(
    {
      node: "bench",
      version: "bench",
      cluster: "east" as ClusterName,
      clusterId: 1 as ClusterId,
      refuseUnknownClusterIps: true,
    },
    {
      port,
      clock: systemClock,
      log: silentLogger,
      snapshots: [],
      applied: () => undefined,
      nodeConfig: () => undefined,
      routes: () => undefined,
      count: () => undefined,
      refusedRecord: () => undefined,
      failed: (error) => {
        throw error;
      },
      signal: stop.signal,
    },
  );
  const adoptMs = performance.now() - started;

  function feed(message: Uint8Array): void {
    for (const effect of state.core.step({ is: "message", message: ToAgent.decode(message) })) state.perform(effect);
  }

  const cluster = "east";
  const status = PeerState.PEER_STATE_IN_SYNC;
  const value = { clusterId: 0, cluster, status, behind: false, hops: [] };
  feed(ToAgent.encode({ message: { $case: "sourceState", value } }).finish());
  const merged = timeMerge(state);
  for (const message of messages) feed(message);
  const block = watchLoop();
  const [began, cpuBegan] = [performance.now(), threadMs()];
  await state.applier.idle();
  const [wholeMs, wholeCpuMs] = [performance.now() - began, threadMs() - cpuBegan];
  const [mapsMs, mapsCpuMs] = [wholeMs - merged.ms, wholeCpuMs - merged.cpuMs];
  merged.stop();
  const load = { adoptMs, wholeMs, mapsMs, wholeCpuMs, mapsCpuMs, blockMs: block() };
  return {
    state,
    load,
    async apply(message) {
      const at = performance.now();
      feed(message);
      await state.applier.idle();
      return performance.now() - at;
    },
    stop: () => stop.abort(),
  };
}

/** CPU time of the main thread in milliseconds, as the scheduler counts it. */
function threadMs(): number {
  const [ns] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1").split(" ");
  return Number(ns) / 1e6;
}

/** Times every turn of the event loop; the returned function stops this and returns the longest one in milliseconds. */
function watchLoop(): () => number {
  let [last, longest, watching] = [performance.now(), 0, true];
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    watching = false;
    look();
    return longest;
  };
}

interface Spent {
  readonly ms: number;
  readonly cpuMs: number;
  /** Stops the timing: reading the clocks takes a tenth of the time of a one-endpoint change. */
  stop(): void;
}

/** Times the work of the mesh state (records to planned frontends). */
function timeMerge({ meshState: world }: NodeState): Spent {
  const { take, flush } = world;
  const spent = { ms: 0, cpuMs: 0, stop: () => void Object.assign(world, { take, flush }) };
  const timed = <A extends readonly unknown[], R>(work: (...args: A) => Slices<R>) =>
    function* (...args: A): Slices<R> {
      const slices = work(...args);
      for (;;) {
        const [began, cpuBegan] = [performance.now(), threadMs()];
        const step = slices.next();
        spent.ms += performance.now() - began;
        spent.cpuMs += threadMs() - cpuBegan;
        if (step.done === true) return step.value;
        yield;
      }
    };
  Object.assign(world, { take: timed(take), flush: timed(flush) });
  return spent;
}
