/** Waiting with the lab's factor for slow machines. */
import { connect } from "node:net";
import { type Look, waitFor as waitForValue } from "@isthmus/runtime";

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
  /** Why the condition does not hold yet, for the sentence of the time-out. */
  readonly reason?: () => string;
}

/** Factor for all time-outs: MESH_LAB_PATIENCE=10 for a machine that is ten times slower than usual, such as an emulated one. */
const PATIENCE = Math.max(1, Number(process.env["MESH_LAB_PATIENCE"] ?? 1) || 1);

/** Polls until there is a value other than undefined and false. Rejects with `TIMEOUT`. */
export function waitFor<T>(what: string, look: Look<T>, options: WaitOptions): Promise<T> {
  return waitForValue(what, look, { ...options, timeoutMs: options.timeoutMs * PATIENCE });
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
