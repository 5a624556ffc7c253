/**
 * Selects the endpoint of a call when a store has several: one that did not answer is skipped for a while, as long as
 * at least one other is not skipped.
 *
 * This is not a breaker: with one endpoint, or with all of them dead, every call goes through. etcd3 tries hosts in
 * random order and takes the next one only when a policy rejects: without this, one dead endpoint of three makes every
 * third call fail.
 */
import type { IOptions } from "etcd3";
import { storeError } from "./errors.js";

export type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

const REST_MS = 10_000;

/** `execute` decides whether a call may go through, and sees its result. */
function policy(execute: (work: () => unknown) => Promise<unknown>): Policy {
  return {
    onSuccess: () => ({ dispose: () => undefined }),
    onFailure: () => ({ dispose: () => undefined }),
    execute: (work: (context: { signal: AbortSignal }) => unknown, signal?: AbortSignal) =>
      execute(() => work({ signal: signal ?? new AbortController().signal })),
  } as unknown as Policy;
}

/** A policy that lets every call through. */
export const PASS = policy(async (work) => work());

/** `endpoints`: their number without duplicates. The result returns the policy of the host with this address. */
export function createHostPolicies(endpoints: number): (host: string) => Policy {
  const resting = new Map<string, number>();

  function isResting(host: string): boolean {
    const now = performance.now();
    for (const [each, until] of resting) if (until <= now) resting.delete(each);
    return resting.has(host) && resting.size < endpoints;
  }

  return (host) =>
    policy(async (work) => {
      // Thrown before the call: etcd3 tries another host.
      if (isResting(host)) throw new Error(`"${host}" did not answer a moment ago`);
      try {
        const answer = await work();
        if (!isStream(answer)) resting.delete(host);
        return answer;
      } catch (thrown) {
        if (isNoAnswer(thrown)) resting.set(host, performance.now() + REST_MS);
        throw thrown;
      }
    });
}

/** A stream that was opened has not answered yet. */
function isStream(answer: unknown): boolean {
  return typeof (answer as { on?: unknown } | undefined)?.on === "function";
}

function isNoAnswer(thrown: unknown): boolean {
  const { code } = storeError(thrown, "call");
  return code === "STORE_UNAVAILABLE" || code === "STORE_TIMEOUT";
}
