/** Orders calls: those for one device run one after the other, those for different devices at the same time. */
export interface DeviceTurns {
  /** Runs the call after all that were given before for this device, failed or not; settles as it does. */
  run<T>(ifindex: number, call: () => Promise<T>): Promise<T>;
  /** Runs the call after all that were given before, and before those that are given later. */
  runAlone<T>(call: () => Promise<T>): Promise<T>;
}

/** A device without a running or waiting call is not kept. */
export function createDeviceTurns(): DeviceTurns {
  /** By device, of calls since the last `runAlone`. Those here never reject. */
  const last = new Map<number, Promise<unknown>>();
  let alone: Promise<unknown> = Promise.resolve();
  return {
    run(ifindex, call) {
      const result = (last.get(ifindex) ?? alone).then(call);
      const end = result
        .catch(() => undefined)
        .then(() => {
          if (last.get(ifindex) === end) last.delete(ifindex);
        });
      last.set(ifindex, end);
      return result;
    },
    runAlone(call) {
      const result = Promise.all([alone, ...last.values()]).then(call);
      last.clear();
      alone = result.catch(() => undefined);
      return result;
    },
  };
}
