/**
 * Shuffles events: those about one object keep their order, and in between agents apply, links break and heal, and agents
 * restart. The same seed gives the same order.
 */
import type { ScenarioEvent } from "./run-scenario.js";

export function shuffledEvents(
  events: readonly ScenarioEvent[],
  clusters: readonly string[],
  seed: number,
): readonly ScenarioEvent[] {
  const random = randomSource(seed);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const queues = new Map<string, ScenarioEvent[]>();
  for (const event of events) queues.set(event.about, [...(queues.get(event.about) ?? []), event]);
  const mixed: ScenarioEvent[] = [];
  while (queues.size > 0) {
    const about = pick([...queues.keys()]) ?? "";
    const queue = queues.get(about) ?? [];
    const next = queue.shift();
    if (queue.length === 0) queues.delete(about);
    if (next !== undefined) mixed.push(next);
    if (random() < 0.5) mixed.push(disturbance(pick(clusters) ?? "", random()));
  }
  return mixed;
}

function disturbance(cluster: string, dice: number): ScenarioEvent {
  const about = "disturbance";
  if (dice < 0.5) return { about, play: (mesh) => mesh.apply(cluster) };
  if (dice < 0.7) return { about, play: (mesh) => mesh.disconnect(cluster) };
  if (dice < 0.9) return { about, play: (mesh) => mesh.connect(cluster) };
  return { about, play: (mesh) => mesh.restart(cluster) };
}

/** Random numbers from 0 to 1: the high bits of a 32-bit linear congruential generator. */
function randomSource(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}
