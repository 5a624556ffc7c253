/** The sources of this server: the own one from the start, peers as the operator says. */
import type { SourcesChange, StreamSource, StreamSources } from "./stream-source.js";

export interface SourceSet extends StreamSources {
  add(source: StreamSource): void;
  remove(source: StreamSource): void;
  /** Every peer has been heard of. */
  setComplete(): void;
}

export function createSourceSet(own: StreamSource): SourceSet {
  const all: StreamSource[] = [own];
  const listeners = new Set<(change: SourcesChange) => void>();
  let complete = false;
  const tell = (change: SourcesChange) => {
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
      tell({ added: source });
    },
    remove(source) {
      const at = all.indexOf(source);
      if (at < 1) return;
      all.splice(at, 1);
      tell({ removed: source });
    },
    setComplete() {
      if (complete) return;
      complete = true;
      tell({});
    },
  };
}
