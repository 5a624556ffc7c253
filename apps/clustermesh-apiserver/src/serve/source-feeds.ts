/**
 * What all agents share of each source: its encoder, the bytes of its state, and the news that it changed.
 *
 * In: the sources, as they come and go. Out: `onContent` and `onState` of a source, until it is removed.
 */
import type { Clock } from "@isthmus/model";
import type { SourceStatus } from "@isthmus/proto";
import { encodeState } from "./messages.js";
import { createSourceEncoder, type SourceEncoder } from "./source-encoder.js";
import type { StreamSource } from "./stream-source.js";

export interface SourceFeeds {
  follow(source: StreamSource): void;
  forget(source: StreamSource): void;
  encoderOf(source: StreamSource): SourceEncoder;
  /** Encoded once per source and turn: ages are told in steps of a tenth of a second. */
  stateOf(source: StreamSource): Buffer;
  /** Called now and then: lets go of snapshots that nobody begins at. */
  trim(): void;
  close(): void;
}

export interface SourceFeedsModules {
  readonly clock: Clock;
  readonly onContent: (source: StreamSource, observedMicros: number) => void;
  readonly onState: (source: StreamSource) => void;
}

interface State {
  readonly at: number;
  readonly status: SourceStatus;
  readonly bytes: Buffer;
}

export function createSourceFeeds({ clock, onContent, onState }: SourceFeedsModules): SourceFeeds {
  const encoders = new Map<StreamSource, SourceEncoder>();
  const states = new Map<StreamSource, State>();
  const stops = new Map<StreamSource, () => void>();
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
    stateOf(source) {
      const state = source.state();
      const known = states.get(source);
      if (known !== undefined && known.status === state.status && clock.now() - known.at < 100) return known.bytes;
      const { clusterId, cluster } = source;
      const bytes = encodeState({ clusterId, cluster, ...state });
      states.set(source, { at: clock.now(), status: state.status, bytes });
      return bytes;
    },
    trim() {
      for (const encoder of encoders.values()) encoder.trim();
    },
    close() {
      for (const stop of stops.values()) stop();
    },
  };
}
