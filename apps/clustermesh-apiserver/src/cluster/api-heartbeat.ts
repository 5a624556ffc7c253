/**
 * Measures the age of the last contact with Kubernetes, and identifies the cluster: reads the kube-system namespace every two
 * seconds.
 *
 * A healthy watch may deliver nothing for a minute; the heartbeat detects a lost connection sooner. The namespace's uid reveals
 * another cluster behind the same address.
 */
import type { KubeClient } from "@isthmus/kube";
import { NAMESPACES } from "@isthmus/kube";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { sleep } from "@isthmus/runtime";

export interface ApiHeartbeat {
  /** uid of the kube-system namespace; undefined before the first answer. */
  readonly uid: string | undefined;
  /** Milliseconds since the last answer; before the first answer, since the start. */
  ageMs(): number;
  /** Why the last request failed; undefined when it succeeded. */
  readonly problem: string | undefined;
  /**
   * Asks every 2 s, and every 250 ms before the first uid, until aborted; a failed request only sets `problem`. Rejects with what
   * `onUid` throws.
   */
  run(signal: AbortSignal): Promise<void>;
}

export interface ApiHeartbeatModules {
  /** Each request has a deadline of 5 s. */
  readonly client: KubeClient;
  /** Its monotonic time measures the age. */
  readonly clock: Clock;
  /** Gets failed requests, at level debug. */
  readonly log: Logger;
  /** Called with the first uid, and each time it changes. */
  readonly onUid: (uid: string) => void;
}

const EVERY_MS = 2000;
const FIRST_MS = 250;
const DEADLINE_MS = 5000;

/** Sends nothing before `run`; until the first answer the age counts from this call. */
export function createApiHeartbeat(modules: ApiHeartbeatModules): ApiHeartbeat {
  const { client, clock } = modules;
  let last = clock.now();
  let uid: string | undefined;
  let problem: string | undefined;

  /** The uid of the kube-system namespace; undefined when there is no answer, or no such namespace. */
  async function ask(signal: AbortSignal): Promise<string | undefined> {
    try {
      const namespace = await client.get(NAMESPACES, "kube-system", { signal, timeoutMs: DEADLINE_MS });
      last = clock.now();
      problem = undefined;
      return namespace?.metadata.uid;
    } catch (error) {
      problem = MeshError.from(error).message;
      if (!signal.aborted) modules.log.debug("No answer from Kubernetes", { error });
      return undefined;
    }
  }

  return {
    get uid() {
      return uid;
    },
    get problem() {
      return problem;
    },
    ageMs: () => Math.max(0, clock.now() - last),
    async run(signal) {
      while (!signal.aborted) {
        const now = await ask(signal);
        if (now !== undefined && now !== uid) {
          uid = now;
          modules.onUid(now);
        }
        await sleep(clock, uid === undefined ? FIRST_MS : EVERY_MS, signal);
      }
    },
  };
}
