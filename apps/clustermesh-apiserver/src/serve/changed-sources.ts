/**
 * The sources that changed in one turn of the event loop, handed on together, however many changes came.
 *
 * Handing on costs a message for each agent, whatever it says; so a peer that writes without end could take all of the time.
 * After its content was handed on, a peer waits three times as long as that took: it has a quarter of the time at most, and
 * what it writes meanwhile goes together. With few agents that is nothing. The local cluster waits for nobody.
 */
import type { Clock } from "@isthmus/model";
import type { StreamSource } from "./stream-source.js";

export interface ChangedSources {
  content(source: StreamSource): void;
  state(source: StreamSource): void;
  forget(source: StreamSource): void;
}

/** Of the time that handing on took. */
const REST = 3;
/** The local cluster's id on the stream. */
const LOCAL = 0;

/** `flush`: all that changed, and of these the ones whose state did. */
export function createChangedSources(
  clock: Clock,
  flush: (changed: ReadonlySet<StreamSource>, states: ReadonlySet<StreamSource>) => void,
  later: (run: () => void, ms: number) => void = setTimeout,
): ChangedSources {
  const changed = new Set<StreamSource>();
  const states = new Set<StreamSource>();
  /** Until when a peer rests, and whether something of it waits for that. */
  const resting = new Map<StreamSource, { readonly until: number; waits: boolean }>();
  let due = false;

  function add(source: StreamSource): void {
    changed.add(source);
    if (due) return;
    due = true;
    setImmediate(handOn);
  }

  function handOn(): void {
    const [all, told] = [new Set(changed), new Set(states)];
    due = false;
    changed.clear();
    states.clear();
    if (all.size === 0) return;
    const began = clock.now();
    flush(all, told);
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
