/**
 * Detects a dead peer of an HTTP/2 connection: a ping is sent a few seconds after each answer.
 *
 * The peer is dead when no byte arrives for `pingMs` while an answer is due. Any byte counts, because an answer may
 * queue behind a long list on a slow line.
 */
import type { ClientHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";

export interface PingTimes {
  /** Time from an answer to the next ping. */
  readonly pingEveryMs: number;
  /** Time without a byte after which the peer is dead. */
  readonly pingMs: number;
}

/** `pingMs` is waited in this many parts: a process that was suspended loses one part, not the connection. */
const PARTS = 4;

/** Runs until the session ends; `onDead` is called at most once. */
export function detectDeadPeer(
  session: ClientHttp2Session,
  socket: TLSSocket,
  times: PingTimes,
  onDead: () => void,
): void {
  let timer = setTimeout(ping, times.pingEveryMs);
  session.once("close", () => clearTimeout(timer));

  function ping(): void {
    if (session.destroyed) return;
    let [due, bytes, silent] = [true, socket.bytesRead, 0];
    wait();
    // After GOAWAY Node sends no pings; SETTINGS frames are still acknowledged.
    if (session.closed) session.settings({}, answered);
    else session.ping(answered);

    function answered(): void {
      due = false;
      clearTimeout(timer);
      if (!session.destroyed) timer = setTimeout(ping, times.pingEveryMs);
    }
    function wait(): void {
      // One more turn of the event loop reads what arrived while the process was suspended.
      timer = setTimeout(() => setImmediate(check), times.pingMs / PARTS);
    }
    function check(): void {
      if (!due || session.destroyed) return;
      silent = socket.bytesRead === bytes ? silent + 1 : 0;
      bytes = socket.bytesRead;
      if (silent === PARTS) onDead();
      else wait();
    }
  }
}
