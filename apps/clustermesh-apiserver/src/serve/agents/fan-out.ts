/**
 * Wakes the sessions of agents when sources change.
 *
 * Changes of indexes and states wake every session once per turn of the event loop, however many there are, and only for the
 * sources that changed. A timer sends all states; another one sends Marks of the sources that had content since their last
 * Mark.
 */
import type { Clock } from "@isthmus/model";
import type { Applied } from "@isthmus/proto";
import { isPositionOf } from "@isthmus/records";
import type { SourcesChange, StreamSource, StreamSources } from "../../ports/stream-source.js";
import { createChangedSources } from "./changed-sources.js";
import type { Session } from "./session.js";
import { createSharedSources, type SharedSources } from "./shared-sources.js";

export interface FanOut {
  /** What all agents share of each source. */
  readonly shared: SharedSources;
  /** By cluster id. */
  readonly served: ReadonlyMap<number, StreamSource>;
  /** Why the position of an agent is ignored; undefined when its cluster is served and it is well-formed for it. */
  ignores(applied: Applied): "unserved cluster" | "malformed position" | undefined;
  /** Stops timers and listeners; sessions stay open. */
  close(): void;
}

export interface FanOutModules {
  /** Followed until `close`. */
  readonly sources: StreamSources;
  /** For the pauses of peers, and the age of encoded states. */
  readonly clock: Clock;
  /** Runs `work` for each session. */
  readonly each: (work: (session: Session, node: string) => void) => void;
  /** Adds a source to a session. */
  readonly begin: (node: string, session: Session, source: StreamSource) => void;
  /** Called when the content of a source changed. `observedMicros`: wall clock, 0 = unknown. */
  readonly onContent: (source: StreamSource, observedMicros: number) => void;
  /** The operator removed the peer. */
  readonly onRemoved: (source: StreamSource) => void;
}

const STATE_EVERY_MS = 5000;
const MARK_EVERY_MS = 15_000;

/** Begins at once; sessions exist later. */
export function createFanOut(modules: FanOutModules): FanOut {
  const { sources, clock, each, begin } = modules;
  const served = new Map<number, StreamSource>(sources.all.map((source) => [source.clusterId, source]));
  /** Sources with new content since their last Mark. */
  const unmarked = new Set<StreamSource>();

  const changed = createChangedSources(clock, (sources, states) => {
    const bytes = shared.states(states);
    each((session) => {
      if (states.size > 0) session.sendStates(bytes);
      session.wake(sources);
    });
  });
  const shared = createSharedSources({
    clock,
    onContent(source, observedMicros) {
      modules.onContent(source, observedMicros);
      unmarked.add(source);
      changed.content(source);
    },
    onState: (source) => changed.state(source),
  });

  function follow(source: StreamSource): void {
    served.set(source.clusterId, source);
    shared.follow(source);
  }

  function forget(source: StreamSource): void {
    served.delete(source.clusterId);
    changed.forget(source);
    unmarked.delete(source);
    shared.forget(source);
    modules.onRemoved(source);
  }

  function update({ added, removed }: SourcesChange): void {
    if (added !== undefined) follow(added);
    if (removed !== undefined) forget(removed);
    each((session, node) => {
      if (added !== undefined) begin(node, session, added);
      if (removed !== undefined) session.removeSource(removed);
      if (sources.complete) session.removeUnknown(served);
    });
    each((session) => session.pump());
  }

  function sendStates(): void {
    const states = shared.states(new Set(sources.all));
    each((session) => {
      session.sendStates(states);
      session.pump();
    });
  }

  function mark(): void {
    shared.trim();
    const marked = new Set(unmarked);
    unmarked.clear();
    each((session) => {
      session.mark(marked);
      session.pump();
    });
  }

  const stopSources = sources.onChange(update);
  for (const source of sources.all) shared.follow(source);
  const timers = [setInterval(sendStates, STATE_EVERY_MS), setInterval(mark, MARK_EVERY_MS)];

  return {
    shared,
    served,
    ignores({ clusterId, position }) {
      if (!served.has(clusterId)) return "unserved cluster";
      return isPositionOf(clusterId, position) ? undefined : "malformed position";
    },
    close() {
      for (const timer of timers) clearInterval(timer);
      stopSources();
      shared.close();
    },
  };
}
