/** The sources that changed in one turn of the event loop, handed on together, however many changes came. */
import type { StreamSource } from "./stream-source.js";

export interface ChangedSources {
  content(source: StreamSource): void;
  state(source: StreamSource): void;
  forget(source: StreamSource): void;
}

/** `flush`: all that changed, and of these the ones whose state did. */
export function createChangedSources(
  flush: (changed: ReadonlySet<StreamSource>, states: ReadonlySet<StreamSource>) => void,
): ChangedSources {
  const changed = new Set<StreamSource>();
  const states = new Set<StreamSource>();
  let due = false;

  function add(source: StreamSource): void {
    changed.add(source);
    if (due) return;
    due = true;
    setImmediate(() => {
      const [all, told] = [new Set(changed), new Set(states)];
      due = false;
      changed.clear();
      states.clear();
      flush(all, told);
    });
  }

  return {
    content: add,
    state(source) {
      states.add(source);
      add(source);
    },
    forget(source) {
      changed.delete(source);
      states.delete(source);
    },
  };
}
