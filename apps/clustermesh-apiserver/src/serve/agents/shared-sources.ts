/**
 * The parts of each source that all agents share: its encoder, its encoded state, and notifications of its changes.
 *
 * In: sources, which are added and removed. Out: calls of `onContent` and `onState` for a source until it is removed.
 */
import type { Clock } from "@isthmus/model";
import type { SourceState } from "@isthmus/proto";
import type { StreamSource } from "../../ports/stream-source.js";
import { encodeStates, sourceState } from "./messages.js";
import { createSourceEncoder, type SourceEncoder } from "./source-encoder.js";

export interface SharedSources {
  /** Begins to report the changes of a source. */
  follow(source: StreamSource): void;
  /** Drops a source that was removed. */
  forget(source: StreamSource): void;
  /** Made at the first use. */
  encoderOf(source: StreamSource): SourceEncoder;
  /** Recomputed when the status changed or after 100 ms, which is therefore the resolution of ages. */
  sourceStateMessage(source: StreamSource): SourceState;
  /** Encoded once, at the first use. */
  states(sources: ReadonlySet<StreamSource>): SharedStates;
  /** Called periodically: drops snapshots that no client began with since the last call. */
  trim(): void;
  /** Ends the notifications of all sources. */
  close(): void;
}

/** The states of some sources, the same bytes for every agent. */
export interface SharedStates {
  /** In the order of the states in `bytes`. */
  readonly sources: ReadonlySet<StreamSource>;
  /** An encoded `SourceStates`, in which no source is behind. */
  bytes(): Buffer;
}

export interface SharedSourcesModules {
  /** For the age of a state. */
  readonly clock: Clock;
  /** Called at each change of the index; `observedMicros`: wall clock in microseconds, 0 = unknown. */
  readonly onContent: (source: StreamSource, observedMicros: number) => void;
  /** Called when the status or `isVerified()` of a source changed. */
  readonly onState: (source: StreamSource) => void;
}

interface State {
  readonly at: number;
  readonly state: SourceState;
}

/** Begins with no source. */
export function createSharedSources({ clock, onContent, onState }: SharedSourcesModules): SharedSources {
  const encoders = new Map<StreamSource, SourceEncoder>();
  const states = new Map<StreamSource, State>();
  const stops = new Map<StreamSource, () => void>();

  function sourceStateMessage(source: StreamSource): SourceState {
    const now = source.state();
    const known = states.get(source);
    if (known !== undefined && known.state.status === now.status && clock.now() - known.at < 100) return known.state;
    const { clusterId, cluster } = source;
    const state = sourceState({ clusterId, cluster, ...now });
    states.set(source, { at: clock.now(), state });
    return state;
  }

  return {
    follow(source) {
      const stopIndex = source.index.onChange(({ observedMicros }) => onContent(source, observedMicros));
      const stopState = source.onState(() => onState(source));
      stops.set(source, () => {
        stopIndex();
        stopState();
      });
    },
    forget(source) {
      stops.get(source)?.();
      for (const map of [stops, encoders, states]) map.delete(source);
    },
    encoderOf(source) {
      const encoder = encoders.get(source) ?? createSourceEncoder(source.clusterId, source.index);
      encoders.set(source, encoder);
      return encoder;
    },
    sourceStateMessage,
    states(sources) {
      let bytes: Buffer | undefined;
      return {
        sources,
        bytes: () => {
          bytes ??= encodeStates([...sources].map(sourceStateMessage));
          return bytes;
        },
      };
    },
    trim() {
      for (const encoder of encoders.values()) encoder.trim();
    },
    close() {
      for (const stop of stops.values()) stop();
    },
  };
}
