/**
 * The age of our contact with Kubernetes, and who it is: reads the kube-system namespace every two seconds.
 *
 * A watch may be silent for a minute and be well; this says sooner when it is not, and notices another cluster behind the
 * same address by its uid.
 */
import type { KubeClient } from "@isthmus/kube";
import { NAMESPACES } from "@isthmus/kube";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";

export interface ApiHeartbeat {
  /** undefined before the first answer. */
  readonly uid: string | undefined;
  /** Milliseconds since the last answer; since the start before the first. */
  ageMs(): number;
  /** Why the last question had no answer; undefined when it had. */
  readonly problem: string | undefined;
  run(signal: AbortSignal): Promise<void>;
}

export interface ApiHeartbeatModules {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** The first answer, and every one with another uid. */
  readonly onUid: (uid: string) => void;
}

const EVERY_MS = 2000;
const FIRST_MS = 250;
const DEADLINE_MS = 5000;

export function createApiHeartbeat(modules: ApiHeartbeatModules): ApiHeartbeat {
  const { client, clock } = modules;
  let last = clock.now();
  let uid: string | undefined;
  let problem: string | undefined;
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
        try {
          const namespace = await client.get(NAMESPACES, "kube-system", { signal, timeoutMs: DEADLINE_MS });
          last = clock.now();
          problem = undefined;
          const now = namespace?.metadata.uid;
          if (now !== undefined && now !== uid) {
            uid = now;
            modules.onUid(now);
          }
        } catch (error) {
          problem = MeshError.from(error).message;
          if (!signal.aborted) modules.log.debug("No answer from Kubernetes", { error });
        }
        await clock.delay(uid === undefined ? FIRST_MS : EVERY_MS, signal).catch(() => undefined);
      }
    },
  };
}
