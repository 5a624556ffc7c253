/** Backend ids: generation (1..255) in the high 8 bits, index (1..2^24-1) in the low 24. 0 = none. */
import { Limit } from "./gen/enums.js";

export function backendId(generation: number, index: number): number {
  return ((generation << 24) | (index & Limit.BackendIndex)) >>> 0;
}

export function backendIndex(id: number): number {
  return id & Limit.BackendIndex;
}

export function backendGeneration(id: number): number {
  return id >>> 24;
}

/** The next generation: 1 after 255, never 0. */
export function nextGeneration(generation: number): number {
  return (generation % 255) + 1;
}
