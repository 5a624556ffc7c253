/**
 * Which endpoint a call goes to, when a store has several: one that did not answer rests for a while, as long as there is
 * another that is not resting.
 *
 * Not a breaker: with one endpoint, or with all of them dead, every call goes through. The client tries hosts in random order
 * and goes on to the next only when a policy turns it away, so that without this one of three dead is every third call failed.
 */
import type { IOptions } from "etcd3";
import { storeError } from "./errors.js";

export type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

const REST_MS = 10_000;

/** `calls` decides whether a call may go through, and hears how it ended. */
function policy(execute: (work: () => unknown) => Promise<unknown>): Policy {
  return {
    onSuccess: () => ({ dispose: () => undefined }),
    onFailure: () => ({ dispose: () => undefined }),
    execute: (work: (context: { signal: AbortSignal }) => unknown, signal?: AbortSignal) =>
      execute(() => work({ signal: signal ?? new AbortController().signal })),
  } as unknown as Policy;
}

/** A policy that only calls through. */
export const PASS = policy(async (work) => work());

export function createHostPolicies(endpoints: number): (host: string) => Policy {
  const resting = new Map<string, number>();

  function isResting(host: string): boolean {
    const now = performance.now();
    for (const [each, until] of resting) if (until <= now) resting.delete(each);
    return resting.has(host) && resting.size < endpoints;
  }

  return (host) =>
    policy(async (work) => {
      // Thrown before the call: the client goes on to another host.
      if (isResting(host)) throw new Error(`"${host}" did not answer a moment ago`);
      try {
        const answer = await work();
        if (!isStream(answer)) resting.delete(host);
        return answer;
      } catch (thrown) {
        if (isSilence(thrown)) resting.set(host, performance.now() + REST_MS);
        throw thrown;
      }
    });
}

/** A stream that was opened has said nothing yet. */
function isStream(answer: unknown): boolean {
  return typeof (answer as { on?: unknown } | undefined)?.on === "function";
}

function isSilence(thrown: unknown): boolean {
  const { code } = storeError(thrown, "call");
  return code === "STORE_UNAVAILABLE" || code === "STORE_TIMEOUT";
}
