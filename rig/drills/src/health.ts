/** Waits until a mesh serves as before any fault: no drill begins in what an earlier one has left. */
import { answersFit, FAR, NEAR, pollTime, type RigWorld, settle } from "@isthmus/demo";

const RECOVER_MS = 90_000;
/** Three seconds of requests. */
const QUIET = 300;

/** Three replicas in each cluster. Throws when the mesh does not serve as before in time, with what is missing. */
export async function recover(world: RigWorld): Promise<void> {
  await settle(world, NEAR, 3);
  await settle(world, FAR, 3);
  let missing: readonly string[] = [];
  const serves = async () => {
    missing = await missingIn(world);
    return missing.length === 0;
  };
  if ((await pollTime(world, serves, RECOVER_MS, 100)) === null)
    throw new Error(`Cannot go on: the mesh has not recovered in ${RECOVER_MS / 1000} s: ${missing.join(", ")}`);
}

async function missingIn(world: RigWorld): Promise<readonly string[]> {
  const conditions: Readonly<Record<string, () => boolean | Promise<boolean>>> = {
    "an agent on the client's node": async () => (await world.agentPid()) !== null,
    "a LIVE head of every cluster": () => world.live(),
    "all backends in the maps": async () => {
      const addresses = [...world.ready(NEAR), ...world.ready(FAR)];
      return !(await Promise.all(addresses.map((address) => world.inMaps(address)))).includes(false);
    },
    "answers to the last three seconds' requests": () => {
      const answers = world.lastAnswers(QUIET);
      return answers.length === QUIET && !answers.includes("");
    },
    [`answers of ${NEAR} alone`]: () => answersFit(world, "local"),
    ...Object.fromEntries([NEAR, FAR].map((each) => [`three pods in ${each}`, () => isWhole(world, each)])),
  };
  const found = Object.entries(conditions).map(async ([what, holds]) => ((await holds()) ? [] : [what]));
  return (await Promise.all(found)).flat();
}

async function isWhole(world: RigWorld, cluster: string): Promise<boolean> {
  if (world.ready(cluster).length !== 3 || !(await world.apiAnswers(cluster))) return false;
  return world.rolledOut(cluster);
}
