/** Backend ids (`struct backend_id`) as words. */
import { BackendId } from "./gen/backend-id.js";

/** Throws RangeError for an index or a generation that does not fit. */
export function backendId(generation: number, index: number): number {
  return BackendId.toWord({ index, generation });
}

/** Row of the map; 0 for no backend. */
export function backendIndex(id: number): number {
  return BackendId.fromWord(id).index;
}

/** 1 to 255; 0 for no backend. */
export function backendGeneration(id: number): number {
  return BackendId.fromWord(id).generation;
}

/** The next generation: 1 after 255, never 0. */
export function nextGeneration(generation: number): number {
  return (generation % 255) + 1;
}
