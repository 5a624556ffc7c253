/** The sources of this server: the local cluster from the start, and the peers that the operator configured. */
import type { SourcesChange, StreamSource, StreamSources } from "./stream-source.js";

export interface SourceSet extends StreamSources {
  add(source: StreamSource): void;
  remove(source: StreamSource): void;
  /** Every peer is known. */
  setComplete(): void;
}

export function createSourceSet(own: StreamSource): SourceSet {
  const all: StreamSource[] = [own];
  const listeners = new Set<(change: SourcesChange) => void>();
  let complete = false;
  const notify = (change: SourcesChange) => {
    for (const listener of [...listeners]) listener(change);
  };
  return {
    all,
    get complete() {
      return complete;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    add(source) {
      all.push(source);
      notify({ added: source });
    },
    remove(source) {
      const at = all.indexOf(source);
      if (at < 1) return;
      all.splice(at, 1);
      notify({ removed: source });
    },
    setComplete() {
      if (complete) return;
      complete = true;
      notify({});
    },
  };
}
