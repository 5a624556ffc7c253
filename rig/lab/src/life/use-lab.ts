/**
 * The lab that a program works in: one that is up, or else one that is brought up for it and taken down after it, even when the
 * process is killed.
 *
 * Invariant: a lab that was up before is up after it.
 */
import { type KeepOptions, keepLab, type LabShape } from "./keep-lab.js";
import { labStatus } from "./status.js";
import { upLab } from "./up.js";

export interface UseOptions extends KeepOptions {
  /** Leaves a lab up that is brought up for this. */
  readonly keep: boolean;
}

export interface UsedLab {
  /** Takes it down, unless it was up before or is kept. Rejects when something of it is left. */
  release(): Promise<void>;
  /** Leaves it up in any case. */
  leave(): Promise<void>;
}

/** The lab of that name. `shape`: of the lab that is brought up when none is. */
export async function useLab(shape: LabShape, { keep, ...options }: UseOptions): Promise<UsedLab> {
  const { name } = shape;
  const say = options.onProgress ?? (() => undefined);
  const isUp = await labStatus(name).then(
    () => true,
    () => false,
  );
  say(isUp ? `Lab "${name}" is up already` : `$ mesh lab up --name ${name}`);
  const saidToStay = async () =>
    say(`Lab "${name}" stays up: eval "$(npx mesh lab env --name ${name})"; npx mesh lab down --name ${name}`);
  if (isUp || keep) {
    const { signal } = options;
    await upLab({ ...shape, ...(isUp ? {} : { onProgress: say }), ...(signal === undefined ? {} : { signal }) });
    return { release: saidToStay, leave: saidToStay };
  }
  const kept = await keepLab(shape, options);
  return {
    async release() {
      say("Taking the lab down");
      await kept.release();
    },
    async leave() {
      await kept.leave();
      await saidToStay();
    },
  };
}
