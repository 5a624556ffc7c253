/**
 * Keeps this program's conditions on Services, by server-side apply with its own field manager: conditions of other writers
 * are not changed.
 *
 * In: Services to check. Nothing is written when the conditions are already there, or while another instance holds the Lease.
 * Conditions that another writer replaces, such as a replica of another version, are restored once a minute. At most twenty
 * writes a second; a Service whose write fails is retried and does not delay others.
 */
import { hasStatus, type KubeClient, type KubeService, type MeshCondition, SERVICES } from "@isthmus/kube";
import type { Clock, ServiceName } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPace, type Pace } from "@isthmus/runtime";
import { CONDITION_PREFIX, type ServiceFacts } from "../cluster/services/service-facts.js";
import type { LocalServices } from "../cluster/services/service-feed.js";
import type { KnownService } from "../cluster/services/service-table.js";
import type { Leadership } from "../leader/leadership.js";
import { mergeConditions, type Verdict } from "../objects/conditions.js";
import { createPeriodicTasks } from "../process/periodic-tasks.js";

export interface ConditionWriterModules {
  /** Each write has a deadline of 5 s. */
  readonly client: KubeClient;
  /** Its wall clock dates the transitions of conditions; its monotonic time paces writes. */
  readonly clock: Clock;
  /** Gets each new failure, by name of the Service. */
  readonly log: Logger;
  /** The Services with the conditions that they have now. */
  readonly services: LocalServices;
  /** A check without the Lease is made up for when it is acquired. */
  readonly leadership: Leadership;
  /** The conditions that the Service should have; empty: none. Called at each check and before each write. */
  readonly wanted: (service: KnownService) => readonly Verdict[];
}

export interface ConditionWriter {
  /** Call when the wanted conditions of the Service may have changed, or its conditions have. */
  check(service: ServiceName): void;
  /** Resolves when aborted, after the writes that run have ended. */
  run(signal: AbortSignal): Promise<void>;
}

export const FIELD_MANAGER = "isthmus.io/clustermesh-apiserver";
const SPACING_MS = 50;
const EVERY_MS = 60_000;
const DEADLINE_MS = 5000;
const AT_ONCE = 4;
/** Pace of changed conditions of one Service: a peer's ports can change them as often as the peer writes. */
const CHANGES = { minMs: 200, maxMs: 30_000, quietMs: 60_000 };

/** The last write to a Service, and the conditions that it had afterwards. */
interface Answer {
  readonly uid: string;
  /** By the monotonic clock. */
  readonly at: number;
  readonly asked: string;
  readonly conditions: readonly MeshCondition[];
  /** When changed conditions may be written. */
  readonly pace: Pace;
}

/** Writes nothing before `run`; Services that are checked before wait for it. */
export function createConditionWriter(modules: ConditionWriterModules): ConditionWriter {
  const { client, clock, log, services, leadership } = modules;
  /** Services to check once this instance holds the Lease. */
  const withheld = new Set<ServiceName>();
  const answers = new Map<ServiceName, Answer>();
  const tasks = createPeriodicTasks(
    { name: "Service conditions", task: writeIfDue, atOnce: AT_ONCE, spacingMs: SPACING_MS },
    { clock, log },
  );

  /** The conditions to write, and the delay when the Service was written recently. Undefined: nothing to write. */
  function due(
    service: ServiceName,
  ): { facts: ServiceFacts; conditions: readonly MeshCondition[]; waitMs: number } | undefined {
    const known = services.get(service);
    if (known === undefined) {
      answers.delete(service);
      withheld.delete(service);
      return undefined;
    }
    const { facts } = known;
    const answer = answers.get(service)?.uid === facts.uid ? answers.get(service) : undefined;
    // The watch may lag behind the last write: a transition must not get a second time.
    const before = [...facts.conditions, ...(answer?.conditions ?? [])];
    const time = new Date(clock.wallMicros() / 1000);
    const conditions = mergeConditions(before, modules.wanted(known), facts.generation, time);
    const current = text(facts.conditions);
    if (text(conditions) === current) return undefined;
    if (answer?.asked !== text(conditions)) return { facts, conditions, waitMs: answer?.pace.waitMs(clock.now()) ?? 0 };
    // Nothing changed since the last write: what still differs is kept by another field manager, and is left to it.
    if (current === text(answer.conditions)) return undefined;
    return { facts, conditions, waitMs: Math.max(0, answer.at + EVERY_MS - clock.now()) };
  }

  async function write(facts: ServiceFacts, conditions: readonly MeshCondition[], signal: AbortSignal): Promise<void> {
    const [namespace = "", name = ""] = facts.service.split("/");
    // The uid excludes another object that was created with the same name.
    const object: KubeService = { metadata: { namespace, name, uid: facts.uid }, status: { conditions } };
    const target = {
      manager: FIELD_MANAGER,
      force: true,
      subresource: "status",
      signal,
      timeoutMs: DEADLINE_MS,
    } as const;
    const applied = (await client.apply<KubeService>(SERVICES, object, target)).status?.conditions ?? [];
    const meshConditions = applied.filter(({ type }) => type.startsWith(CONDITION_PREFIX));
    const known = answers.get(facts.service);
    const pace = known?.uid === facts.uid ? known.pace : createPace(CHANGES);
    pace.recordRun(clock.now());
    answers.set(facts.service, {
      uid: facts.uid,
      at: clock.now(),
      asked: text(conditions),
      conditions: meshConditions,
      pace,
    });
  }

  async function writeIfDue(service: ServiceName, signal: AbortSignal): Promise<number | undefined> {
    if (!leadership.writes) {
      withheld.add(service);
      return undefined;
    }
    const task = due(service);
    if (task === undefined) return undefined;
    if (task.waitMs > 0) return task.waitMs;
    try {
      await write(task.facts, task.conditions, signal);
    } catch (thrown) {
      // The Service was deleted or replaced: the watch will report it.
      if (!hasStatus(thrown, 404, 409, 422)) throw thrown;
    }
    return undefined;
  }

  return {
    check(service) {
      if (due(service) !== undefined) tasks.trigger(service);
    },
    async run(signal) {
      const stop = leadership.onChange(() => {
        if (!leadership.writes) return;
        for (const service of withheld) tasks.trigger(service);
        withheld.clear();
      });
      await tasks.run(signal);
      stop();
    },
  };
}

/** The conditions as comparable text, without their transition times. */
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
