/** Waits for a condition by polling, with a deadline and a name for the error. */
import { connect } from "node:net";
import { systemClock } from "@isthmus/model";
import { labError } from "../plan/errors.js";

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
  /** Why the condition does not hold yet, for the sentence of the time-out. */
  readonly reason?: () => string;
}

/** Factor for all time-outs: MESH_LAB_PATIENCE=10 for a machine that is ten times slower than usual, such as an emulated one. */
const PATIENCE = Math.max(1, Number(process.env["MESH_LAB_PATIENCE"] ?? 1) || 1);

/** Resolves with the first value that is neither undefined nor false. */
export async function waitFor<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions,
): Promise<T> {
  const timeoutMs = options.timeoutMs * PATIENCE;
  const deadline = systemClock.now() + timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (systemClock.now() > deadline) {
      const reason = options.reason?.() ?? "";
      const seconds = Math.round(timeoutMs / 1000);
      throw labError(
        "TIMEOUT",
        `Timed out after ${seconds} s waiting for ${what}${reason === "" ? "" : `: ${reason}`}`,
      );
    }
    await systemClock.delay(options.everyMs ?? 50, options.signal);
  }
}

/** Resolves when a server accepts connections on the port. */
export async function waitForPort(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const options = { timeoutMs, everyMs: 20, ...(signal === undefined ? {} : { signal }) };
  await waitFor(`${host}:${port} to accept connections`, () => accepts(host, port), options);
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const answer = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
    socket.setTimeout(1_000, () => answer(false));
  });
}
