/** A replaceable clock, so that tests control the time. */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Wall clock in microseconds since the epoch. */
  wallMicros(): number;
  /** Resolves after `ms`, rejects with the signal's reason when aborted. */
  delay(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMicros: () => Math.round((performance.timeOrigin + performance.now()) * 1000),
  delay: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const timer = setTimeout(done, ms);
      function done(): void {
        signal?.removeEventListener("abort", stop);
        resolve();
      }
      function stop(): void {
        clearTimeout(timer);
        reject(signal?.reason);
      }
      signal?.addEventListener("abort", stop, { once: true });
    }),
};
