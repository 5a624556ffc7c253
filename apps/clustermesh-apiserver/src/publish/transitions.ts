/** Transitions of the publisher that more than one handler uses. */
import { BEAT_MS } from "@isthmus/records";
import { backoffMs } from "@isthmus/runtime";
import type { PublisherEffect } from "./events.js";
import { FULL_RETRY_MS, type PublisherState, REFUSED_RETRY_MS, RETRY_MS } from "./state.js";

/** * -> Connecting */
export function connect(state: PublisherState): PublisherEffect[] {
  state.phase = { status: "Connecting" };
  return [{ type: "inspect" }];
}

/** Connecting -> Connecting: lists again as soon as the pace allows. */
export function connectWhenDue(state: PublisherState, now: number): PublisherEffect[] {
  const ms = state.pace.waitMs(now);
  return ms > 0 ? [{ type: "wake", ms }] : connect(state);
}

/** Live, Loading, … -> Connecting, after a back-off: the known state of the store was wrong. */
export function resync(state: PublisherState, sentence: string): PublisherEffect[] {
  state.message = sentence;
  state.phase = { status: "Connecting" };
  return [retry(state)];
}

/** * -> Refused: an operator must act; retried every REFUSED_RETRY_MS. */
export function refuse(state: PublisherState, sentence: string): PublisherEffect[] {
  state.message = sentence;
  state.full = false;
  state.phase = { status: "Refused" };
  return [{ type: "wake", ms: REFUSED_RETRY_MS }];
}

/** Live, … -> Standby: another instance has written its fence. */
export function stepDown(state: PublisherState, writer: string, seq: bigint, now: number): PublisherEffect[] {
  state.message = `Instance "${writer}" publishes for this cluster`;
  state.heldFence = false;
  state.full = false;
  state.phase = { status: "Standby", writer, seq, since: now };
  return [{ type: "wake", ms: BEAT_MS }];
}

/** Doubles from 100 ms to RETRY_MS, jittered. */
export function retry(state: PublisherState): PublisherEffect {
  const maxMs = state.full && state.phase.status === "Connecting" ? FULL_RETRY_MS : RETRY_MS;
  return { type: "wake", ms: backoffMs(state.failures++, { minMs: 100, maxMs, random: state.options.random }) };
}

/** In [0, 1), from the options' `random` or Math.random. */
export function random(state: PublisherState): number {
  return (state.options.random ?? Math.random)();
}
