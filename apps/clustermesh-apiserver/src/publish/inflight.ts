/**
 * Decides which txns are sent: one at a time with the head included while Live, or several bulk txns in parallel while Loading.
 *
 * Every attempt to write a head has its own seq, so that a head that is read back identifies the attempt that wrote it.
 */

import { CONFIG_KEY, FENCE_KEY, HEAD_KEY } from "@isthmus/kvstore";
import { HeadState } from "@isthmus/proto";
import { BEAT_MS } from "@isthmus/records";
import { chooseWrites, MAX_WRITES } from "./batch.js";
import type { PublisherEffect, Write } from "./events.js";
import { encodeHead } from "./head.js";
import { compares, configDirty } from "./meta-keys.js";
import { type Flight, PIPELINE, type PublisherState } from "./state.js";

/** Returns the txns that can be sent now. */
export function pump(state: PublisherState, now: number, wallMicros: number): PublisherEffect[] {
  if (state.phase.status === "Loading") return pumpLoading(state, wallMicros);
  const { phase } = state;
  if (phase.status !== "Live" || phase.flight !== undefined) return [];
  const due = now >= phase.beatAt;
  if (state.dirty.size === 0 && !configDirty(state) && !due) return [];
  if (due) phase.beatAt = now + BEAT_MS;
  phase.flight = liveFlight(state, wallMicros, due);
  return [
    { type: "txn", id: phase.flight.id, compares: compares(state, HEAD_KEY), writes: phase.flight.writes },
    { type: "wake", ms: Math.max(1, phase.beatAt - now) },
  ];
}

function pumpLoading(state: PublisherState, wallMicros: number): PublisherEffect[] {
  const { phase } = state;
  if (phase.status !== "Loading" || phase.last !== undefined) return [];
  const effects: PublisherEffect[] = [];
  const busy = new Set([...phase.flights.values()].flatMap(({ writes }) => writes.map(({ key }) => key)));
  while (phase.flights.size < PIPELINE) {
    const { writes, observedMicros } = chooseWrites(state.dirty, state.wanted, MAX_WRITES - 1, busy);
    if (phase.flights.size === 0 && writes.length === state.dirty.size) {
      // The last writes: they are sent with the head that says LIVE.
      phase.last = withHead(state, writes, HeadState.HEAD_STATE_LIVE, observedMicros, wallMicros);
      const both = compares(state, FENCE_KEY, HEAD_KEY);
      return [...effects, { type: "txn", id: phase.last.id, compares: both, writes: phase.last.writes }];
    }
    if (writes.length === 0) break;
    const flight: Flight = { id: state.nextId++, writes, seq: undefined };
    phase.flights.set(flight.id, flight);
    for (const { key } of writes) busy.add(key);
    effects.push({ type: "txn", id: flight.id, compares: compares(state, FENCE_KEY), writes });
  }
  return effects;
}

/** The next writes with a LIVE head. */
function liveFlight(state: PublisherState, wallMicros: number, due: boolean): Flight {
  const extra: Write[] = configDirty(state) ? [{ type: "put", key: CONFIG_KEY, value: state.config }] : [];
  const { writes, observedMicros } = chooseWrites(state.dirty, state.wanted, MAX_WRITES - extra.length);
  if (due && writes.length === state.dirty.size) state.beat++; // a beat means that no write is missing
  return withHead(state, [...writes, ...extra], HeadState.HEAD_STATE_LIVE, observedMicros, wallMicros);
}

/** The txn of `writes` and a head that has the next seq and the sums after them; takes a seq and an id from `state`. */
export function withHead(
  state: PublisherState,
  writes: readonly Write[],
  head: HeadState,
  observedMicros: number,
  wallMicros: number,
): Flight {
  const seq = ++state.seq;
  const sums = state.stored.sumsAfter(writes);
  const value = encodeHead(state, { state: head, seq, sums, observedMicros, wallMicros });
  return { id: state.nextId++, writes: [...writes, { type: "put", key: HEAD_KEY, value }], seq };
}

/** The txn in flight with this id; undefined for one that was given up, whose result is ignored. */
export function flightOf({ phase }: PublisherState, id: number): Flight | undefined {
  if (phase.status === "Loading") return phase.last?.id === id ? phase.last : phase.flights.get(id);
  if (phase.status !== "TakingOver" && phase.status !== "Live") return undefined;
  return phase.flight?.id === id ? phase.flight : undefined;
}
