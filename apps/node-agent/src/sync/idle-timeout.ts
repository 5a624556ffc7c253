/**
 * Ends a stream on which no message arrives. The keepalive of HTTP/2 detects a dead peer, but not a server that hangs
 * while its connection is alive, nor one behind a proxy that answers the pings.
 */
import { type Clock, MeshError } from "@isthmus/model";
import { sleep } from "@isthmus/runtime";

/** From Hello to Welcome, which a server sends at once. */
export const WELCOME_MS = 10_000;
/** After the Welcome a server sends the state of its sources every 5 s. */
export const IDLE_MS = 30_000;

export interface IdleTimeout {
  /** A message arrived, or reading resumes after a pause: restarts the timeout. */
  restart(): void;
  /** The stream is over: `onTimeout` is not called any more. */
  stop(): void;
}

export interface IdleTimeoutModules {
  /** Times the silence, in monotonic milliseconds. */
  readonly clock: Clock;
  /** The present timeout. */
  readonly limitMs: () => number;
  /** True while the stream is not read, because the kernel is behind. */
  readonly paused: () => boolean;
  /** Called at most once, with `STREAM_SILENT`. */
  readonly onTimeout: (error: Error) => void;
}

/** The timeout begins at once; `stop` must be called when the stream is over. */
export function startIdleTimeout({ clock, limitMs, paused, onTimeout }: IdleTimeoutModules): IdleTimeout {
  const stopped = new AbortController();
  let since = clock.now();

  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      if (paused()) since = clock.now();
      const limit = limitMs();
      const left = since + limit - clock.now();
      if (left <= 0)
        return onTimeout(
          new MeshError({ code: "STREAM_SILENT" }, `Timed out after ${limit / 1000} s waiting for a message`),
        );
      await sleep(clock, left, stopped.signal);
    }
  }

  void watch();
  return {
    restart() {
      since = clock.now();
    },
    stop: () => stopped.abort(),
  };
}
