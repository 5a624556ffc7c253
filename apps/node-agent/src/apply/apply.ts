/**
 * Brings the maps of all parts to the desired state. It knows no part by name.
 *
 * ```
 *   parts, in order      a  ─►  b  ─►  c          c may refer to rows of b, and b to those of a
 *
 *   apply():   retract   a  ◄─  b  ◄─  c
 *              make      a  ─►  b  ─►  c          large changes in slices, a turn of the event loop between two
 *              break     a  ◄─  b  ◄─  c
 *              free      a  ◄─  b  ◄─  c          in the background, after one grace period for all parts
 * ```
 * Work is proportional to what was touched. An object that finds no room is retried when something was freed; the others
 * are written. A write that throws stops everything: the memory of this process and the kernel may differ, so nothing is
 * written or freed any more until a fresh process has read the kernel back.
 */
import type { MapFill } from "@isthmus/proto";
import { isMapFull, type StatusTable } from "@isthmus/reconcile";
import { nextTurn } from "@isthmus/runtime";
import { createCollector, type Round } from "./garbage.js";
import type { Part } from "./part.js";

export interface ApplyModules<Changes> {
  /** In the order of writing: a part refers to rows of earlier parts only. */
  readonly parts: readonly Part<Changes>[];
  /** Resolves when no program that began before the call still runs. */
  readonly gracePeriod: () => Promise<void>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Something was freed: what found no room may be retried. */
  readonly onRoom?: (() => void) | undefined;
  /** A grace period failed; it is retried with the next apply. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Freeing failed half way: only a restarted process can read back what is in use. */
  readonly onBroken?: ((error: unknown) => void) | undefined;
}

export interface Apply<Changes> {
  /** The desired state may have changed so; the next apply writes it. */
  touch(changes: Changes): void;
  /**
   * Resolves when the kernel has the desired state; freeing continues in the background. One call at a time. After a
   * failed write every call rejects and nothing is written any more: only a new process, which reads the kernel back,
   * can continue.
   */
  apply(): Promise<void>;
  /** Resolves when nothing is left to free. */
  settled(): Promise<void>;
  /** The objects of all parts, by name. */
  readonly status: ApplyStatus;
  /** Entries in use of the maps of all parts, in the order of the parts. */
  fill(): readonly MapFill[];
}

export type ApplyStatus = Pick<StatusTable, "get" | "errors" | "nextDue">;

/** Objects of a kind that one round frees: the event loop turns between two rounds. */
const ROUND = 1024;

/** Writes nothing before the first `apply`. */
export function createApply<Changes>(modules: ApplyModules<Changes>): Apply<Changes> {
  const { parts, now } = modules;
  const reversed = [...parts].reverse();
  const status = statusOf(parts);
  const collector = createCollector({
    gracePeriod: modules.gracePeriod,
    take: takeGarbage,
    freed: retryWithoutRoom,
    failed: (error) => modules.onError?.(error),
    broken: (error) => modules.onBroken?.(error),
  });

  function takeGarbage(): Round | undefined {
    const rounds: Round[] = [];
    for (const part of reversed) {
      const round = part.takeGarbage?.(ROUND);
      if (round !== undefined) rounds.push(round);
    }
    if (rounds.length === 0) return undefined;
    return {
      async free() {
        for (const round of rounds) await round.free();
      },
    };
  }

  function retryWithoutRoom(): void {
    if (status.errors.size === 0) return;
    for (const part of parts) part.status.retryNow(now(), isMapFull);
    modules.onRoom?.();
  }

  async function make(part: Part<Changes>): Promise<void> {
    for (;;) {
      const more = (await part.plan?.()) ?? false;
      collector.check();
      await part.make(collector.check);
      if (!more) return;
      await nextTurn();
    }
  }

  async function writeAll(): Promise<void> {
    for (const part of reversed) await part.retract?.();
    for (const part of parts) await make(part);
    for (const part of reversed) await part.break?.(collector.check);
  }

  return {
    status,
    touch(changes) {
      for (const part of parts) part.touch(changes);
    },
    async apply() {
      collector.check();
      collector.pause();
      try {
        await writeAll();
      } catch (thrown) {
        collector.stop(thrown);
        throw thrown;
      } finally {
        collector.resume();
      }
      collector.kick();
    },
    settled: () => collector.settled(),
    fill: () => parts.flatMap((part) => part.fill()),
  };
}

function statusOf(parts: readonly Pick<Part<never>, "status">[]): ApplyStatus {
  const tables = parts.map(({ status }) => status);
  return {
    get: (name) => tables.map((table) => table.get(name)).find((status) => status !== undefined),
    get errors() {
      return new Map(tables.flatMap(({ errors }) => [...errors]));
    },
    get nextDue() {
      const due = tables.flatMap(({ nextDue }) => nextDue ?? []);
      return due.length === 0 ? undefined : Math.min(...due);
    },
  };
}
