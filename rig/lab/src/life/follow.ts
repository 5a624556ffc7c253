/** Follows a lab that comes up, until it is ready. */
import { systemClock } from "@isthmus/model";
import { labError } from "../plan/errors.js";
import { labPaths } from "../plan/paths.js";
import { createLabClient } from "../supervise/client.js";
import type { ProgressEvent } from "../supervise/progress.js";

/** Throws `STEP_FAILED` or `TIMEOUT` with the step, the reason, and the end of the relevant log. */
export async function followUntilReady(
  name: string,
  say: (sentence: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const startMs = systemClock.now();
  const last = await createLabClient(name, labPaths(name).socket).follow((event) => tell(event, say), signal);
  if (last.type === "failed") {
    const log = last.log === "" ? "" : `\n${last.log}`;
    throw labError(
      last.code === "TIMEOUT" ? "TIMEOUT" : "STEP_FAILED",
      `Cannot bring lab "${name}" up: step "${last.step}" failed: ${last.sentence}${log}`,
    );
  }
  say(`Lab "${name}" is ready after ${((systemClock.now() - startMs) / 1000).toFixed(1)} s`);
}

function tell(event: ProgressEvent, say: (sentence: string) => void): void {
  if (event.type === "note" || event.type === "begin") return;
  if (event.type !== "ready") say(`${event.step}: ${event.type}`);
}
