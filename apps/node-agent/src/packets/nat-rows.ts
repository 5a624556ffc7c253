/**
 * Deletes the rows of mesh_nat whose flows ended (ended-rows.ts): programs insert them when they move a connect, and delete
 * them only when a pod connects from the same port again. Then stores for programs how many each pod has (moved-counts.ts).
 *
 * Programs insert and delete rows meanwhile. Why a living flow keeps its rows:
 *
 * - Only the row that was judged is deleted. If a program forgot the flow and moved a later connect of the same pod, port
 *   and backend meanwhile, the row there has another SYN's sequence number, and stays.
 * - All packets of a flow count for both its tuples, so a flow is judged by its silence alone: for six hours, or for 64 s
 *   after its end was seen on the wire. One that speaks again later may find its rows gone.
 *
 * The kernel has no call that deletes a row only if it is unchanged, so the row is compared, taken out, and put back if it
 * is another one by then. That takes a pod which connects, is refused, and is moved between two system calls in succession;
 * what it sends in the microsecond before the row is back goes to the backend that refused.
 */
import { createFlowLookup, flowTime, NatStateRow, type PacketPath } from "@isthmus/bpf";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { inTurns, sleep } from "@isthmus/runtime";
import { createEndedRows, SILENCE_LIMITS, type SilenceLimits } from "./ended-rows.js";
import { beginMovedCounts, type MovedCountsModules } from "./moved-counts.js";

export interface NatRowsModules {
  /** The maps of mode `packets`. */
  readonly path: {
    readonly nat: Pick<PacketPath["nat"], "load" | "deleteUnchanged">;
    readonly natState: Pick<PacketPath["natState"], "read" | "storeWord32">;
    readonly flows: Parameters<typeof createFlowLookup>[0];
    readonly endpoints: MovedCountsModules["endpoints"];
  };
  /** The pods of this node: their rows in mesh_endpoints, by address (`bytesKey`). */
  readonly pods: MovedCountsModules["rows"];
  /** The clock of the programs. */
  readonly monotonicNs: () => bigint;
  /** Times the rounds. */
  readonly clock: Clock;
  /** Gets each new problem. */
  readonly log: Logger;
  /** Ends the rounds; rows stay. */
  readonly signal: AbortSignal;
  /** `SILENCE_LIMITS` by default. */
  readonly limits?: SilenceLimits;
}

export interface NatRowsCollector {
  /** Rows in the map, as last seen. */
  readonly used: number;
  /**
   * Begins a round at once, or when the one under way ends; resolves at its end. For addresses whose pods are gone: what
   * programs inserted for them by then is deleted, or the failure was reported.
   */
  runRound(): Promise<void>;
}

const EVERY_MS = 5000;
/** A round over a full map takes half a second: this is at most a thirtieth of one processor. */
const PAUSE_PER_MS = 30;

/** The first round begins at once; later ones look at the map while programs say that it may have rows. */
export function collectNatRows(modules: NatRowsModules): NatRowsCollector {
  const { path, pods, monotonicNs, clock, log, signal, limits = SILENCE_LIMITS } = modules;
  const { nat, natState, flows, endpoints } = path;
  const endedRows = createEndedRows({
    findFlow: createFlowLookup(flows, monotonicNs),
    flowTime: () => flowTime(monotonicNs()),
    limits,
    isPod: (address) => pods.has(address),
  });
  let used = 0;
  let problem: string | undefined;
  let pause = new AbortController();
  /** Called at the end of the next round that begins. */
  let waiting: (() => void)[] = [];
  signal.addEventListener("abort", () => pause.abort(), { once: true });

  const mayHaveRows = (): boolean => NatStateRow.decode(natState.read(0)).used !== 0;
  const setMayHaveRows = (value: number): void => natState.storeWord32(0, NatStateRow.offsets.used, value);

  /**
   * Programs insert a row and then store 1. One that did so between the look at the map and the 0 is seen by the second
   * look; until then its flow needs the word for no packet, for mesh_conntrack has it. An agent that died in between left
   * 0 with rows in the map: the first round of the next one stores 1.
   */
  async function setEmpty(): Promise<void> {
    setMayHaveRows(0);
    used = (await nat.load()).size;
    if (used > 0) setMayHaveRows(1);
  }

  async function round(): Promise<void> {
    const storeCounts = beginMovedCounts({ endpoints, rows: pods });
    const rows = await nat.load();
    used = rows.size;
    if (used > 0 && !mayHaveRows()) setMayHaveRows(1);
    const { ended, living } = await inTurns(endedRows.find(rows));
    if (signal.aborted) return;
    if (ended.size > 0) {
      const { done, failed } = await nat.deleteUnchanged(ended);
      used -= done.size;
      for (const error of failed.values()) throw error;
    }
    storeCounts(living);
    if (rows.size === 0) await setEmpty();
  }

  async function run(): Promise<void> {
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      const began = clock.now();
      const ends = waiting;
      waiting = [];
      pause = new AbortController();
      try {
        if (isFirst || mayHaveRows()) await round();
        problem = undefined;
      } catch (thrown) {
        if (!signal.aborted) report(MeshError.from(thrown).message);
      }
      for (const end of ends) end();
      await sleep(clock, Math.max(EVERY_MS, PAUSE_PER_MS * (clock.now() - began)), pause.signal);
    }
    for (const end of waiting) end();
  }

  function report(reason: string): void {
    if (reason !== problem)
      log.warn("Cannot delete rows of moved connections that ended, they take room, retrying", { reason });
    problem = reason;
  }

  void run();
  return {
    get used() {
      return used;
    },
    runRound() {
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push(resolve);
        pause.abort();
      });
    },
  };
}
