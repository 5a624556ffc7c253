/**
 * Whether the other side of an HTTP/2 connection still lives: it is asked a few seconds after each answer.
 *
 * Dead is who lets not a byte come for `pingMs` while an answer is due: an answer may queue behind a long list on a slow line.
 */
import type { ClientHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";

export interface LifeTimes {
  /** Between an answer and the next question. */
  readonly pingEveryMs: number;
  /** For a sign of life. */
  readonly pingMs: number;
}

/** In so many parts a sign is waited for: a process that stood still loses one of them, not the connection. */
const PARTS = 4;

/** Until the session ends; `onDead` is called at most once. */
export function watchLife(session: ClientHttp2Session, socket: TLSSocket, times: LifeTimes, onDead: () => void): void {
  let timer = setTimeout(ask, times.pingEveryMs);
  session.once("close", () => clearTimeout(timer));

  function ask(): void {
    if (session.destroyed) return;
    let [due, bytes, silent] = [true, socket.bytesRead, 0];
    wait();
    // After GOAWAY Node sends no ping any more; settings are acknowledged all the same.
    if (session.closed) session.settings({}, answered);
    else session.ping(answered);

    function answered(): void {
      due = false;
      clearTimeout(timer);
      if (!session.destroyed) timer = setTimeout(ask, times.pingEveryMs);
    }
    function wait(): void {
      // One more turn: what came while the process stood still is read in it.
      timer = setTimeout(() => setImmediate(look), times.pingMs / PARTS);
    }
    function look(): void {
      if (!due || session.destroyed) return;
      silent = socket.bytesRead === bytes ? silent + 1 : 0;
      bytes = socket.bytesRead;
      if (silent === PARTS) onDead();
      else wait();
    }
  }
}
