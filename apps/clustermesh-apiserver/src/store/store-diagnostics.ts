/**
 * Diagnoses why this cluster cannot use its store: which field of the MeshCluster to check, and what to do.
 *
 * In: the publisher's state and its last error. While the publisher cannot work, the endpoints are dialled from time to time,
 * because the store's client does not report what is wrong with a connection. Out: one stable sentence, which changes only when
 * the cause does, so that no status is rewritten because of a number in it.
 */
import type { StoreSpec } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { expiresAt } from "@isthmus/pki";
import { type PublisherStatus, PublishState } from "@isthmus/proto";
import { createBackoff, sleep } from "@isthmus/runtime";
import { type DialFailure, dialStore, trusting } from "./dial-store.js";

export interface StoreDiagnostics {
  /** The status with the finding as its message. */
  explain(status: PublisherStatus): PublisherStatus;
  /** What is wrong; undefined while the store is usable. */
  readonly finding: string | undefined;
  /** Looks at the publisher's status every second until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface StoreDiagnosticsModules {
  /** Its wall clock is compared with the expiry of the certificate. */
  readonly clock: Clock;
  /** Gets each new finding as a warning, and that the store is usable again. */
  readonly log: Logger;
  /** What the MeshCluster says and is in use; undefined without a store. */
  readonly store: () => StoreSpec | undefined;
  /** As the publisher has it, before `explain`. */
  readonly publisher: () => PublisherStatus;
}

const LOOK_MS = 1000;
/** A new error is examined after this time, the same one again after the back-off. */
const NEW_ERROR_MS = 2000;
const DIAL_MS = 3000;
const MAX_DIALLED = 16;

/** `cluster`: name of the MeshCluster in the sentences. No finding before `run`. */
export function createStoreDiagnostics(cluster: string, modules: StoreDiagnosticsModules): StoreDiagnostics {
  const { clock, log } = modules;
  const backoff = createBackoff({ minMs: 2000, maxMs: 30_000 });
  let finding: string | undefined;
  let dialAt = 0;
  let examined = "";
  let examinedAt = Number.NEGATIVE_INFINITY;

  function setFinding(next: string | undefined): void {
    if (next === finding) return;
    if (next !== undefined) log.warn("Store not usable", { problem: next });
    else log.info("Store usable again");
    finding = next;
  }

  async function look(): Promise<void> {
    const [{ publishState, message }, spec] = [modules.publisher(), modules.store()];
    if (!isTroubled(publishState) || spec === undefined) {
      setFinding(undefined);
      backoff.reset();
      dialAt = 0;
      return;
    }
    const now = clock.now();
    const isNew = steady(message) !== examined && now >= examinedAt + NEW_ERROR_MS;
    if (message !== "" && (isNew || now >= dialAt)) {
      examined = steady(message);
      examinedAt = now;
      setFinding(await examine(cluster, spec, message, new Date(clock.wallMicros() / 1000)));
      dialAt = clock.now() + backoff.nextMs();
    }
  }

  return {
    get finding() {
      return finding;
    },
    explain(status) {
      if (!isTroubled(status.publishState)) return status;
      return { ...status, message: finding ?? advise(status.message) ?? steady(status.message) };
    },
    async run(signal) {
      while (!signal.aborted) {
        await look();
        await sleep(clock, LOOK_MS, signal);
      }
    },
  };
}

/** True unless the publisher works, waits for something other than the store, or was refused with a reason. */
function isTroubled(state: PublishState): boolean {
  return state === PublishState.PUBLISH_STATE_CONNECTING || state === PublishState.PUBLISH_STATE_FULL;
}

/** Returns the finding. `message`: the last error of the store's client. */
export async function examine(cluster: string, spec: StoreSpec, message: string, now: Date): Promise<string> {
  const of = `of MeshCluster "${cluster}"`;
  const context = trusting(spec.ca);
  if (context === undefined)
    return `Cannot use the store: "spec.store.ca" ${of} is not a certificate in PEM; run "mesh connect" again`;
  const expired = expiry(spec.certificate);
  if (expired !== undefined && expired < now)
    return `Cannot use the store: "spec.store.certificate" ${of} expired on ${expired.toISOString()}; run "mesh connect" again`;
  const endpoints = spec.endpoints.slice(0, MAX_DIALLED);
  const failures = await Promise.all(endpoints.map((endpoint) => dialStore(endpoint, context, DIAL_MS)));
  const good = endpoints.filter((_, i) => failures[i] === undefined);
  if (good.length === 0) return unreachable(of, endpoints, failures);
  const advice = advise(message);
  if (advice !== undefined || !NO_ANSWER.test(message)) return advice ?? steady(message);
  const names = good.map((endpoint) => `"${endpoint}"`).join(", ");
  return `Cannot use the store: ${names} can be reached but does not answer as etcd does (${steady(message)}); check that "spec.store.endpoints" ${of} name etcd's client port, and that etcd is well`;
}

/** Undefined when the certificate cannot be read: its user reports that. */
function expiry(certificate: string): Date | undefined {
  try {
    return expiresAt(certificate);
  } catch {
    return undefined;
  }
}

function unreachable(of: string, endpoints: readonly string[], failures: readonly (DialFailure | undefined)[]): string {
  const list = endpoints.map((endpoint, i) => `"${endpoint}" (${failures[i]?.why})`).join(", ");
  const certificate = failures.some((failure) => failure?.kind === "certificate");
  const field = certificate ? '"spec.store.ca" and "spec.store.endpoints"' : '"spec.store.endpoints"';
  return `Cannot reach the store: ${list || "no endpoint is named"}; check that etcd runs there, and ${field} ${of}`;
}

/** The store's answer with the advice for it; undefined when there is no advice for this message. */
function advise(message: string): string | undefined {
  const advice = ADVICE.find(([text]) => text.test(message))?.[1];
  return advice === undefined ? undefined : `${steady(message)}: ${advice}`;
}

const NO_ANSWER = /no connection|deadline exceeded|protocol error|timed out|silent|unavailable|stream|socket/i;
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /permission denied|authentication failed|user name|invalid auth|unauthenticated|not found/i,
    'the store does not know this cluster\'s user or its rights; run "mesh connect" again',
  ],
  [
    /database space exceeded|no space/i,
    "the store is full; compact and defragment etcd, then disarm its NOSPACE alarm",
  ],
  [
    /alert|bad certificate|unknown ca|certificate required/i,
    'the store refuses this cluster\'s certificate; run "mesh connect" again',
  ],
];

/** The message without times, durations and memory addresses. */
export function steady(message: string): string {
  return message
    .replace(/[0-9A-F]{8,}:error:[0-9A-F]+:[^:]*:[^:]*:([^:]*):.*$/s, "$1")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, "")
    .replace(/Deadline exceeded after .*$/, "no answer within the deadline")
    .replace(/\b\d+(\.\d+)? ?(ms|s)\b/g, "a while");
}
