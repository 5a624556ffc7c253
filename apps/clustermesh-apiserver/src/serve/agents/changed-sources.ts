/**
 * Collects the sources that change in one turn of the event loop and flushes them together.
 *
 * A flush costs a message for each agent, so a peer that writes continuously could use all CPU time. After a flush a peer
 * pauses for three times its share of the flush's duration: it uses at most a quarter of the time, and its changes in the
 * pause are flushed together. With few agents the pause is negligible. The local cluster never pauses.
 */
import type { Clock } from "@isthmus/model";
import type { StreamSource } from "../../ports/stream-source.js";

export interface ChangedSources {
  /** The records changed: they are flushed in this turn, or after the peer's pause. */
  content(source: StreamSource): void;
  /** The status changed: it is flushed in this turn, also in a pause. */
  state(source: StreamSource): void;
  /** The source was removed: nothing of it is flushed any more. */
  forget(source: StreamSource): void;
}

/** Pause after a flush, as a multiple of its duration. */
const REST = 3;
/** The local cluster's id on the stream. */
const LOCAL = 0;

/** `flush` gets all changed sources, and those of them whose state changed. */
export function createChangedSources(
  clock: Clock,
  flush: (changed: ReadonlySet<StreamSource>, states: ReadonlySet<StreamSource>) => void,
  later: (run: () => void, ms: number) => void = setTimeout,
): ChangedSources {
  const changed = new Set<StreamSource>();
  const states = new Set<StreamSource>();
  /** The end of each peer's pause, and whether content waits for it. */
  const resting = new Map<StreamSource, { readonly until: number; waits: boolean }>();
  let due = false;

  function add(source: StreamSource): void {
    changed.add(source);
    if (due) return;
    due = true;
    setImmediate(flushAll);
  }

  function flushAll(): void {
    const [all, changedStates] = [new Set(changed), new Set(states)];
    due = false;
    changed.clear();
    states.clear();
    if (all.size === 0) return;
    const began = clock.now();
    flush(all, changedStates);
    const now = clock.now();
    const until = now + (REST * (now - began)) / all.size;
    for (const source of all) if (source.clusterId !== LOCAL) resting.set(source, { until, waits: false });
  }

  function content(source: StreamSource): void {
    const rest = resting.get(source);
    const ms = rest === undefined ? 0 : rest.until - clock.now();
    if (rest === undefined || ms <= 0) add(source);
    else if (!rest.waits) {
      rest.waits = true;
      later(() => resting.get(source) === rest && add(source), Math.ceil(ms));
    }
  }

  return {
    content,
    state(source) {
      states.add(source);
      add(source);
    },
    forget(source) {
      changed.delete(source);
      states.delete(source);
      resting.delete(source);
    },
  };
}
