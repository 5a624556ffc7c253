/**
 * Whether the maps enforce policy for a pod: a CNI ADD waits for it, since the pod's processes start after its answer.
 *
 * ```
 *   report of the pod ─► its address and uid at the apiserver ─► record with its identity ─► an apply ends
 * ```
 * An apiserver of a version that has no policies is not waited for.
 */
import { setMaxListeners } from "node:events";
import { bytesKey, type Clock, formatAddress } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import { waitWithin } from "@isthmus/runtime";
import { CNI_TRY_AGAIN, CniError, type PodAttachment } from "./pods/index.js";
import type { SyncCore } from "./sync/core.js";

export interface EnforcedPodsModules {
  /** True when the maps have the policy of the pod at this address (`bytesKey`). */
  readonly isEnforced: (address: string) => boolean;
  /** Has the local cluster's source. */
  readonly core: Pick<SyncCore, "sources">;
  /** Calls after each apply, and after each message of a server. */
  readonly changes: (listener: () => void) => () => void;
  /** A stream to an apiserver is open. */
  readonly connected: () => boolean;
  readonly clock: Clock;
  /** Ends every wait. */
  readonly signal: AbortSignal;
}

/** The kubelet gives a whole sandbox two minutes, and tries again after a failure. */
export const ENFORCED_WAIT_MS = 15_000;

/** The function rejects with `CniError` (try again) when the pod's policy is not in the maps in time. */
export function createEnforcedPods(modules: EnforcedPodsModules): (pod: PodAttachment) => Promise<void> {
  const { isEnforced, core, changes, connected, clock } = modules;
  // As many wait as a node's pods that start at once, which is no leak.
  const signal = AbortSignal.any([modules.signal]);
  setMaxListeners(0, signal);
  function reason(pod: PodAttachment): string {
    if (!connected())
      return "no apiserver is connected, which gives pods their identities; check --servers and mesh status";
    const address = formatAddress(pod.addresses[0]);
    return `the apiserver has not sent the identity of ${address} and uid "${pod.uid}" in ${ENFORCED_WAIT_MS / 1000} s; check its log`;
  }

  return async (pod) => {
    const look = () => {
      const exported = core.sources.get(0)?.exported;
      if (exported !== undefined && !exported.has(Kind.KIND_POLICY)) return true;
      return pod.addresses.every((address) => isEnforced(bytesKey(address)));
    };
    // Of pods that start at once each apply is for some: the others do not begin their wait again.
    const concerned = (changed: () => void) => changes(() => look() && changed());
    const options = { timeoutMs: ENFORCED_WAIT_MS, changes: concerned, clock, signal };
    const done = await waitWithin(look, options).catch((cause: unknown) => {
      throw new CniError(CNI_TRY_AGAIN, "Cannot enforce policy for the pod yet: the agent ends", { cause });
    });
    if (done === undefined) throw new CniError(CNI_TRY_AGAIN, `Cannot enforce policy for the pod yet: ${reason(pod)}`);
  };
}
