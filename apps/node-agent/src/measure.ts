/**
 * Measures this agent on its real path: encoded message, core, merge, plan, maps.
 *
 * In: any kernel port (bench/ passes real maps). Out: milliseconds. Used by `make bench`; asserts nothing.
 */
import { closeSync, openSync, readSync } from "node:fs";
import type { DatapathPort, OpenNetlink } from "@isthmus/bpf";
import { type ClusterId, type ClusterName, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { PeerState, ToAgent } from "@isthmus/proto";
import { inSlices, inTurns, type Slices } from "@isthmus/runtime";
import { nodeName } from "./desired/nodes/nodes.js";
import { createNodeState, type NodeState } from "./node-state.js";
import { createRouteKernel } from "./routes/route-kernel.js";
import { createRouteReconciler, type RouteReconciler } from "./routes/route-reconciler.js";
import { runSnapshotWriter } from "./sync/snapshot-writer.js";
import { openStateFiles } from "./sync/state-files.js";

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
  /** The part of `wholeCpuMs` from the merged table to all maps written. */
  readonly mapsCpuMs: number;
  /** The longest turn of the event loop, as `Turns`. */
  readonly blockMs: number;
}

export interface MeasureOptions {
  /** Folder of disk snapshots: read at the start, and written in the background as a running agent does. */
  readonly stateDir?: string;
  /** Opens the network namespace for the routes to other nodes. */
  readonly openNetlink?: OpenNetlink;
}

/** Turns of the event loop. */
export interface Turns {
  /**
   * The longest turn since the last call, in milliseconds. Time for which the main thread was ready but other threads of
   * the machine had the CPU does not count.
   */
  take(): number;
  /** Ends the timing and closes its file. Called once, after the last `take`. */
  stop(): void;
}

export interface MeasuredNode {
  /** The parts between stream and maps, as a running agent has them. */
  readonly state: NodeState;
  /** Of the messages that `measureNode` got. */
  readonly load: FirstLoad;
  /** Undefined without `openNetlink`. */
  readonly routes: RouteReconciler | undefined;
  /** Applies one encoded `ToAgent` message; milliseconds until the maps hold it. */
  apply(message: Uint8Array): Promise<number>;
  /** Ends the work in the background; the caller closes the kernel port. */
  stop(): void;
}

/** Starts an agent on a kernel and loads records. `messages`: the first sync of the local cluster and others, encoded. */
export async function measureNode(
  port: DatapathPort,
  messages: readonly Uint8Array[],
  { stateDir, openNetlink }: MeasureOptions = {},
): Promise<MeasuredNode> {
  const stop = new AbortController();
  const started = performance.now();
  const files = stateDir === undefined ? undefined : openStateFiles(stateDir);
  const snapshots = (await files?.snapshots())?.good ?? [];
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
      snapshots,
      applied: () => undefined,
      nodeConfig: () => undefined,
      routes: (names) => routes?.update(names),
      count: () => undefined,
      refusedRecord: () => undefined,
      failed: (error) => {
        throw error;
      },
      signal: stop.signal,
    },
  );
  const routes =
    openNetlink === undefined
      ? undefined
      : createRouteReconciler({
          log: silentLogger,
          clock: systemClock,
          signal: stop.signal,
          kernel: createRouteKernel(openNetlink),
          self: nodeName(1, "bench"),
          nodes: () => state.meshState.nodes,
          complete: state.complete,
        });
  void routes?.trigger();
  const adoptMs = performance.now() - started;

  function feed(message: Uint8Array): void {
    for (const effect of state.core.step({ is: "message", message: ToAgent.decode(message) })) state.perform(effect);
  }

  const cluster = "east";
  const status = PeerState.PEER_STATE_IN_SYNC;
  const value = { clusterId: 0, cluster, status, behind: false, hops: [] };
  feed(ToAgent.encode({ message: { $case: "sourceState", value } }).finish());
  const thread = openThreadTimes();
  const merged = timeMerge(state, thread);
  await inTurns(inSlices(messages, 1, feed));
  const turns = watchTurns();
  const [began, cpuBegan] = [performance.now(), thread.ranMs()];
  await state.applier.idle();
  const [wholeMs, wholeCpuMs] = [performance.now() - began, thread.ranMs() - cpuBegan];
  const [mapsMs, mapsCpuMs] = [wholeMs - merged.ms, wholeCpuMs - merged.cpuMs];
  merged.stop();
  thread.close();
  const load = { adoptMs, wholeMs, mapsMs, wholeCpuMs, mapsCpuMs, blockMs: turns.take() };
  turns.stop();
  if (files !== undefined)
    void runSnapshotWriter({
      core: state.core,
      files,
      present: [],
      clock: systemClock,
      log: silentLogger,
      signal: stop.signal,
    });
  return {
    state,
    load,
    routes,
    async apply(message) {
      const at = performance.now();
      feed(message);
      await state.applier.idle();
      return performance.now() - at;
    },
    stop: () => stop.abort(),
  };
}

/** Times every turn of the event loop, which it keeps turning. */
export function watchTurns(): Turns {
  const thread = openThreadTimes();
  let [last, lastWaited, longest, watching] = [performance.now(), thread.waitedMs(), 0, true];
  const look = (): void => {
    const [now, nowWaited] = [performance.now(), thread.waitedMs()];
    longest = Math.max(longest, now - last - (nowWaited - lastWaited));
    [last, lastWaited] = [now, nowWaited];
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  return {
    take() {
      look();
      const taken = longest;
      longest = 0;
      return taken;
    },
    stop() {
      watching = false;
      thread.close();
    },
  };
}

/** What the scheduler counts of the main thread, in milliseconds. */
interface ThreadTimes {
  /** CPU time. */
  ranMs(): number;
  /** For how long it was ready to run, but did not. */
  waitedMs(): number;
  /** The last times are returned from now on. */
  close(): void;
}

/** A look costs a microsecond and allocates nothing, as there is one in every turn or slice. */
function openThreadTimes(): ThreadTimes {
  const fd = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const text = Buffer.alloc(64);
  let [ran, waited, isOpen] = [0, 0, true];

  function look(): void {
    if (!isOpen) return;
    const length = readSync(fd, text, 0, text.length, 0);
    ran = numberAt(text, 0, length) / 1e6;
    waited = numberAt(text, text.indexOf(SPACE) + 1, length) / 1e6;
  }

  return {
    ranMs() {
      look();
      return ran;
    },
    waitedMs() {
      look();
      return waited;
    },
    close() {
      closeSync(fd);
      isOpen = false;
    },
  };
}

/** The decimal number that begins there. */
function numberAt(text: Uint8Array, from: number, length: number): number {
  let value = 0;
  for (let at = from; at < length; at++) {
    const digit = (text[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) break;
    value = 10 * value + digit;
  }
  return value;
}

const SPACE = 0x20;
const ZERO = 0x30;

interface Spent {
  readonly ms: number;
  readonly cpuMs: number;
  /** Stops the timing: reading the clocks takes a tenth of the time of a one-endpoint change. */
  stop(): void;
}

/** Times the work of the mesh state (records to planned frontends). */
function timeMerge({ meshState }: NodeState, thread: Pick<ThreadTimes, "ranMs">): Spent {
  const { take, flush } = meshState;
  const spent = { ms: 0, cpuMs: 0, stop: () => void Object.assign(meshState, { take, flush }) };
  const timed = <A extends readonly unknown[], R>(work: (...args: A) => Slices<R>) =>
    function* (...args: A): Slices<R> {
      const [began, cpuBegan] = [performance.now(), thread.ranMs()];
      const result = yield* work(...args);
      spent.ms += performance.now() - began;
      spent.cpuMs += thread.ranMs() - cpuBegan;
      return result;
    };
  Object.assign(meshState, { take: timed(take), flush: timed(flush) });
  return spent;
}
