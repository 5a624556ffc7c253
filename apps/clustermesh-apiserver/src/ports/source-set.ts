/** The sources of this server: the local cluster from the start, and the peers that the operator configured. */
import { createEmitter } from "@isthmus/runtime";
import type { SourcesChange, StreamSource, StreamSources } from "./stream-source.js";

export interface SourceSet extends StreamSources {
  /** Adds a source that is not in the set, at the end. */
  add(source: StreamSource): void;
  /** Does nothing for a source that is not in the set, and for the local cluster. */
  remove(source: StreamSource): void;
  /** Every peer is known. */
  setComplete(): void;
}

/** `own`: the source of the local cluster. The set is not complete at first. */
export function createSourceSet(own: StreamSource): SourceSet {
  const all: StreamSource[] = [own];
  const changes = createEmitter<SourcesChange>();
  let complete = false;
  return {
    all,
    get complete() {
      return complete;
    },
    onChange: changes.subscribe,
    add(source) {
      all.push(source);
      changes.emit({ added: source });
    },
    remove(source) {
      const at = all.indexOf(source);
      if (at < 1) return;
      all.splice(at, 1);
      changes.emit({ removed: source });
    },
    setComplete() {
      if (complete) return;
      complete = true;
      changes.emit({});
    },
  };
}
