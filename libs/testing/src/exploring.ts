/**
 * Parameters of a fast-check run. A failure prints its seed and path: MESH_SEED=<seed> repeats it, and
 * MESH_EXPLORE=<factor> multiplies the number of runs.
 */
export function fastCheckOptions(
  numRuns: number,
  environment: NodeJS.ProcessEnv = process.env,
): { readonly numRuns: number; readonly seed?: number } {
  const { MESH_SEED: seed, MESH_EXPLORE: factor } = environment;
  return {
    numRuns: Math.ceil(numRuns * (factor === undefined ? 1 : Number(factor))),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  };
}
