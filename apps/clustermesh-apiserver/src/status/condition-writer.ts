/**
 * Keeps our conditions on Services, by server-side apply under a field manager of our own: those of others stay.
 *
 * In: Services to look at. Nothing is written when what stands there says the same, or while another instance holds the Lease;
 * who takes ours away is answered once a minute. Writes go one after another, at most twenty a second; a failure is tried again.
 */
import { hasStatus, type KubeClient, KubeError, type KubeService, type MeshCondition, SERVICES } from "@isthmus/kube";
import type { Clock, ServiceName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { OwnServices } from "../cluster/own-services.js";
import { CONDITION_PREFIX, type ServiceFacts } from "../cluster/service-facts.js";
import type { KnownService } from "../cluster/service-table.js";
import { mergeConditions, type Verdict } from "../config/conditions.js";
import { createKeeper } from "../config/keep.js";
import type { Leadership } from "../leader/leadership.js";

export interface ConditionWriterModules {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly services: OwnServices;
  readonly leadership: Leadership;
  readonly wanted: (service: KnownService) => readonly Verdict[];
}

export interface ConditionWriter {
  /** What the Service should say may have changed, or what stands there has. */
  look(service: ServiceName): void;
  run(signal: AbortSignal): Promise<void>;
}

export const FIELD_MANAGER = "isthmus.io/clustermesh-apiserver";
const SPACING_MS = 50;
const EVERY_MS = 60_000;
const DEADLINE_MS = 5000;
/** So many in a row are not about the Services: the permission is missing. */
const REFUSALS = 5;

/** Our last write to a Service, and what stood there after it. */
interface Answer {
  readonly uid: string;
  /** By the monotonic clock. */
  readonly at: number;
  readonly asked: string;
  readonly conditions: readonly MeshCondition[];
}

export function createConditionWriter(modules: ConditionWriterModules): ConditionWriter {
  const { client, clock, log, services, leadership } = modules;
  const pending = new Set<ServiceName>();
  const answers = new Map<ServiceName, Answer>();
  const keeper = createKeeper({ name: "Service conditions", everyMs: EVERY_MS, task: writeAll }, { clock, log });

  /** The conditions to write; undefined when there is nothing to do, "later" when the same was written a moment ago. */
  function due(
    service: ServiceName,
  ): { facts: ServiceFacts; conditions: readonly MeshCondition[] } | "later" | undefined {
    const known = services.get(service);
    if (known === undefined) {
      answers.delete(service);
      return undefined;
    }
    const { facts } = known;
    const answer = answers.get(service)?.uid === facts.uid ? answers.get(service) : undefined;
    // The watch may be behind our own write: the time of a transition is not made up twice.
    const before = [...facts.conditions, ...(answer?.conditions ?? [])];
    const time = new Date(clock.wallMicros() / 1000);
    const conditions = mergeConditions(before, modules.wanted(known), facts.generation, time);
    const held = text(facts.conditions);
    if (text(conditions) === held) return undefined;
    if (answer?.asked !== text(conditions)) return { facts, conditions };
    // Another field manager keeps what we gave up: it is not ours to fight for.
    if (held === text(answer.conditions)) return undefined;
    return clock.now() - answer.at < EVERY_MS ? "later" : { facts, conditions };
  }

  async function write(facts: ServiceFacts, conditions: readonly MeshCondition[], signal: AbortSignal): Promise<void> {
    const [namespace = "", name = ""] = facts.service.split("/");
    // With its uid: not the object that was made again under this name.
    const object: KubeService = { metadata: { namespace, name, uid: facts.uid }, status: { conditions } };
    const target = {
      manager: FIELD_MANAGER,
      force: true,
      subresource: "status",
      signal,
      timeoutMs: DEADLINE_MS,
    } as const;
    const stands = (await client.apply<KubeService>(SERVICES, object, target)).status?.conditions ?? [];
    const ours = stands.filter(({ type }) => type.startsWith(CONDITION_PREFIX));
    answers.set(facts.service, { uid: facts.uid, at: clock.now(), asked: text(conditions), conditions: ours });
  }

  /** A refused one goes to the end and keeps none of the others back; when all are refused, or without an answer, it stops. */
  async function writeAll(signal: AbortSignal): Promise<void> {
    let refusal: unknown;
    let inARow = 0;
    for (const service of [...pending]) {
      if (!leadership.writes) return;
      const found = due(service);
      if (found === "later") continue;
      pending.delete(service);
      if (found === undefined) continue;
      try {
        await write(found.facts, found.conditions, signal);
        inARow = 0;
      } catch (thrown) {
        // Gone, or another object by now: the watch will tell.
        if (hasStatus(thrown, 404, 409, 422)) continue;
        pending.add(service);
        if (!isRefusal(thrown) || ++inARow === REFUSALS) throw thrown;
        refusal ??= thrown;
      }
      await clock.delay(SPACING_MS, signal);
    }
    if (refusal !== undefined) throw refusal;
  }

  return {
    look(service) {
      if (due(service) === undefined) return;
      pending.add(service);
      keeper.poke();
    },
    async run(signal) {
      const stop = leadership.onChange(() => keeper.poke());
      await keeper.run(signal);
      stop();
    },
  };
}

/** Of this one Service; 429 and 5xx are about the API. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof KubeError && thrown.status >= 400 && thrown.status < 500 && thrown.status !== 429;
}

/** What they say, whenever they came to say it. */
function text(conditions: readonly MeshCondition[]): string {
  return JSON.stringify(
    conditions
      .map(({ type, status, reason, message, observedGeneration = 0 }) => [
        type,
        status,
        reason,
        message,
        observedGeneration,
      ])
      .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
  );
}
