/** Backend ids (`struct backend_id`) as words. */
import { BackendId } from "./gen/backend-id.js";

export function backendId(generation: number, index: number): number {
  return BackendId.toWord({ index, generation });
}

export function backendIndex(id: number): number {
  return BackendId.fromWord(id).index;
}

export function backendGeneration(id: number): number {
  return BackendId.fromWord(id).generation;
}

/** The next generation: 1 after 255, never 0. */
export function nextGeneration(generation: number): number {
  return (generation % 255) + 1;
}
