/**
 * Ends a stream on which nothing is heard. HTTP/2's keepalive sees a dead peer, but not a server that is stuck behind a
 * living connection, nor one behind a proxy that answers for it.
 */
import { type Clock, MeshError } from "@isthmus/model";

/** From Hello to Welcome, which a server gives at once. */
export const WELCOME_MS = 10_000;
/** A server tells the state of its sources every 5 s. */
export const IDLE_MS = 30_000;

export interface IdleTimeout {
  /** Something was heard, or is not listened to for now. */
  heard(): void;
  stop(): void;
}

export interface IdleTimeoutModules {
  readonly clock: Clock;
  /** How long it may be silent now. */
  readonly limitMs: () => number;
  /** Not listening: the kernel is behind. */
  readonly paused: () => boolean;
  readonly onSilent: (error: Error) => void;
}

export function startIdleTimeout({ clock, limitMs, paused, onSilent }: IdleTimeoutModules): IdleTimeout {
  const stopped = new AbortController();
  let since = clock.now();

  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      if (paused()) since = clock.now();
      const limit = limitMs();
      const left = since + limit - clock.now();
      if (left <= 0)
        return onSilent(new MeshError({ code: "STREAM_SILENT" }, `Nothing was heard for ${limit / 1000} s`));
      await clock.delay(left, stopped.signal).catch(() => undefined);
    }
  }

  void watch();
  return {
    heard() {
      since = clock.now();
    },
    stop: () => stopped.abort(),
  };
}
