/**
 * Gives numbers to label sets: creates, releases and deletes MeshIdentity objects, while this instance holds the Lease.
 *
 *   label sets and objects that changed ──► planLabelSet (pure) ──► writes ──watch──► objects
 *
 * Each write is refused by the API server when its object has changed since it was read, so what an instance plans by an old view
 * does no harm; two numbers for one label set do none either (libs/identity).
 */
import {
  type AllocationStep,
  type IdentityNumber,
  identityLocal,
  MAX_LOCAL,
  parseLabelSetKey,
  planLabelSet,
} from "@isthmus/identity";
import { hasStatus, type KubeClient, MESH_IDENTITIES, type MeshIdentity } from "@isthmus/kube";
import { type Clock, MeshError } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import { createBackoff } from "@isthmus/runtime";
import type { Leadership } from "../leader/leadership.js";
import { createPeriodicTask } from "../process/periodic-task.js";
import { createPeriodicTasks } from "../process/periodic-tasks.js";
import { identityFacts } from "./identities/identity-facts.js";
import type { LocalIdentities } from "./identities/pod-feed.js";
import { createNumberPool, type NumberPoolOptions } from "./number-pool.js";

export interface IdentityAllocationModules {
  /** Each write has a deadline of 5 s. */
  readonly client: Pick<KubeClient, "create" | "delete" | "get" | "mergePatch">;
  /** Its wall clock dates what is released. */
  readonly clock: Clock;
  /** Gets each new failure. */
  readonly log: Logger;
  /** Gets the gauge of numbers. */
  readonly metrics: Metrics;
  /** Nothing is written while `writes` is false. */
  readonly leadership: Pick<Leadership, "onChange" | "writes">;
  /** Label sets that change are looked at. */
  readonly identities: Pick<LocalIdentities, "highest" | "labelSet" | "labelSets" | "onSets" | "refused">;
  /** False until all objects were read, and while they are read again: what is not known is not unwanted. */
  readonly isVerified: () => boolean;
}

export interface AllocationProblem {
  /** For the condition of the MeshCluster. */
  readonly reason: "Exhausted" | "NotWritten" | "TooManyLabels";
  /** A sentence for people. */
  readonly message: string;
}

export interface IdentityAllocation {
  /** Why a pod has no identity, or may have none; undefined: nothing is known to be in the way. */
  readonly problem: AllocationProblem | undefined;
  /** Resolves when aborted, after the writes that run have ended. */
  run(signal: AbortSignal): Promise<void>;
}

/** Ten thousand pods have some thousand label sets when a cluster starts; the API server takes some hundred writes a second. */
const AT_ONCE = 8;
const SPACING_MS = 2;
const DEADLINE_MS = 5000;
/** Until the watch has shown what was written or refused, or until what is missing may be there. */
const SOON_MS = 500;
const EXHAUSTED_MS = 60_000;
const SWEEP_MS = 30_000;
/** A number that was created and is not seen for so long was deleted by someone. */
const UNSEEN_MS = 30_000;
const BACKOFF = { minMs: 200, maxMs: 10_000 };

/** A number that was asked for. */
interface Attempt {
  readonly number: IdentityNumber;
  /** Monotonic: when the API server said yes; undefined: its answer was lost, and the same number is asked for again. */
  readonly createdAt: number | undefined;
}

/** Writes nothing before `run`. */
export function createIdentityAllocation(
  options: NumberPoolOptions,
  { client, clock, log, metrics, leadership, identities, isVerified }: IdentityAllocationModules,
): IdentityAllocation {
  /** By label set: those whose object the watch has not shown yet. */
  const attempts = new Map<string, Attempt>();
  const pool = createNumberPool(options, { client, highest: identities.highest, missing });
  const backoff = createBackoff(BACKOFF);
  let blockedUntil = Number.NEGATIVE_INFINITY;
  let problem: AllocationProblem | undefined;
  const tasks = createPeriodicTasks<string>(
    { name: "Identity of a label set", task: allocate, atOnce: AT_ONCE, spacingMs: SPACING_MS },
    { clock, log },
  );
  /** Quarantines end without an event, and another instance may have left something undone. */
  const sweep = createPeriodicTask(
    { name: "Identities of label sets", everyMs: SWEEP_MS, task: async () => triggerDue(identities.labelSets()) },
    { clock, log },
  );
  metrics.gauge(
    "mesh_identity_highest_number",
    `Highest number that a label set of this cluster has, without the cluster's bits; ${MAX_LOCAL} is the last one`,
    [],
    (gauge) => gauge.set(identityLocal(identities.highest() ?? 0)),
  );

  /** Most sets that change have nothing to be written: one pod more with the same labels. */
  function triggerDue(keys: Iterable<string>): void {
    if (!leadership.writes) return;
    const nowMs = clock.wallMicros() / 1000;
    for (const key of keys) if (planLabelSet(identities.labelSet(key), nowMs).steps.length > 0) tasks.trigger(key);
  }

  function missing(): number {
    let count = 0;
    for (const key of identities.labelSets()) {
      const { isWanted, identities: of } = identities.labelSet(key);
      if (isWanted && of.length === 0 && !attempts.has(key)) count++;
    }
    return count;
  }

  /** Returns when to look at the label set again, if no event will do it. */
  async function allocate(key: string, signal: AbortSignal): Promise<number | undefined> {
    if (!leadership.writes) return undefined;
    if (!isVerified()) return SOON_MS;
    const blockedMs = blockedUntil - clock.now();
    if (blockedMs > 0) return blockedMs;
    const state = identities.labelSet(key);
    const { steps } = planLabelSet(state, clock.wallMicros() / 1000);
    if (steps.every(({ type }) => type !== "create")) attempts.delete(key);
    try {
      let soonMs: number | undefined;
      for (const step of steps) soonMs = (await perform(key, step, signal)) ?? soonMs;
      if (steps.length > 0 && soonMs === undefined) succeeded(steps);
      return soonMs;
    } catch (thrown) {
      // About this object alone: it keeps its own back-off, and the others go on.
      if (signal.aborted || hasStatus(thrown, 400, 422)) throw thrown;
      return failed(MeshError.from(thrown));
    }
  }

  function succeeded(steps: readonly AllocationStep[]): void {
    if (problem?.reason === "NotWritten" || steps.some(({ type }) => type === "create")) problem = undefined;
    backoff.reset();
  }

  /** What is in the way of one is in the way of all: a missing right, or an API server that does not answer. */
  function failed(error: MeshError): number {
    const reason = error.code === "IDENTITIES_EXHAUSTED" ? "Exhausted" : "NotWritten";
    if (problem?.message !== error.message) log.warn("Identities cannot be written", { error });
    problem = { reason, message: error.message };
    const waitMs = reason === "Exhausted" ? EXHAUSTED_MS : backoff.nextMs();
    // Released numbers are still deleted, and sets that have one are not concerned.
    if (reason === "NotWritten") blockedUntil = clock.now() + waitMs;
    return waitMs;
  }

  /** Returns when to look again, if what was done is not seen as an event. */
  async function perform(key: string, step: AllocationStep, signal: AbortSignal): Promise<number | undefined> {
    if (step.type === "create") return create(key, signal);
    const object = identities.labelSet(key).identities.find(({ number }) => number === step.number);
    if (object === undefined) return undefined;
    const { resourceVersion } = object;
    const target = { signal, timeoutMs: DEADLINE_MS };
    const name = `${step.number}`;
    try {
      if (step.type === "delete") await client.delete(MESH_IDENTITIES, name, { ...target, resourceVersion });
      else {
        const releasedAt = step.type === "release" ? timeText(clock) : null;
        await client.mergePatch(MESH_IDENTITIES, name, { metadata: { resourceVersion }, spec: { releasedAt } }, target);
      }
    } catch (thrown) {
      // Someone else was faster: the watch shows what it is now.
      if (!hasStatus(thrown, 404, 409)) throw thrown;
      return SOON_MS;
    }
    return undefined;
  }

  async function create(key: string, signal: AbortSignal): Promise<number | undefined> {
    const known = attempts.get(key);
    if (known?.createdAt !== undefined) {
      if (clock.now() - known.createdAt > UNSEEN_MS) attempts.delete(key);
      return SOON_MS;
    }
    const number = known?.number ?? (await pool.take(signal));
    if (number === undefined) return SOON_MS;
    attempts.set(key, { number, createdAt: undefined });
    const spec = { labels: Object.fromEntries(parseLabelSetKey(key)) };
    const target = { signal, timeoutMs: DEADLINE_MS };
    try {
      await client.create<MeshIdentity>(MESH_IDENTITIES, { metadata: { name: `${number}` }, spec }, target);
      attempts.set(key, { number, createdAt: clock.now() });
      return undefined;
    } catch (thrown) {
      if (!hasStatus(thrown, 409)) throw thrown;
      // The name is taken, perhaps by this request, whose answer was lost.
      const there = await client.get<MeshIdentity>(MESH_IDENTITIES, `${number}`, target);
      const isOurs = there !== undefined && identityFacts(there).labels === key;
      if (isOurs) attempts.set(key, { number, createdAt: clock.now() });
      else attempts.delete(key);
      return SOON_MS;
    }
  }

  function refusal(): AllocationProblem | undefined {
    const refused = identities.refused();
    if (refused === undefined) return undefined;
    const message = `Pod "${refused.pod}" has ${refused.labels} labels, those of its namespace included, more than an identity holds: remove some`;
    return { reason: "TooManyLabels", message };
  }

  return {
    get problem() {
      const isOver = problem?.reason === "Exhausted" && missing() === 0;
      return (isOver ? undefined : problem) ?? refusal();
    },
    async run(signal) {
      const ends = [identities.onSets(triggerDue), leadership.onChange(() => sweep.trigger())];
      await Promise.all([tasks.run(signal), sweep.run(signal)]);
      for (const end of ends) end();
    },
  };
}

/** RFC 3339 in whole seconds. */
function timeText(clock: Pick<Clock, "wallMicros">): string {
  return `${new Date(clock.wallMicros() / 1000).toISOString().slice(0, 19)}Z`;
}
