/**
 * Keeps our conditions on Services, by server-side apply under a field manager of our own: those of others stay.
 *
 * In: Services to check. Nothing is written when the conditions are there already, or while another instance holds the Lease;
 * conditions that another writer replaces, such as a replica of another version, are restored once a minute. At most twenty
 * writes a second; a Service that cannot be written is retried and does not delay the others.
 */
import { hasStatus, type KubeClient, type KubeService, type MeshCondition, SERVICES } from "@isthmus/kube";
import type { Clock, ServiceName } from "@isthmus/model";
import { createPace, type Logger, type Pace } from "@isthmus/observe";
import type { LocalServices } from "../cluster/local-services.js";
import { CONDITION_PREFIX, type ServiceFacts } from "../cluster/service-facts.js";
import type { KnownService } from "../cluster/service-table.js";
import { mergeConditions, type Verdict } from "../config/conditions.js";
import { createPeriodicTasks } from "../config/periodic-tasks.js";
import type { Leadership } from "../leader/leadership.js";

export interface ConditionWriterModules {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly services: LocalServices;
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
const AT_ONCE = 4;
/** Pace of changed conditions of one Service: a peer's ports can change them as often as the peer writes. */
const CHANGES = { minMs: 200, maxMs: 30_000, quietMs: 60_000 };

/** Our last write to a Service, and what stood there after it. */
interface Answer {
  readonly uid: string;
  /** By the monotonic clock. */
  readonly at: number;
  readonly asked: string;
  readonly conditions: readonly MeshCondition[];
  /** When changed conditions may be written. */
  readonly pace: Pace;
}

export function createConditionWriter(modules: ConditionWriterModules): ConditionWriter {
  const { client, clock, log, services, leadership } = modules;
  /** Services to check once this instance holds the Lease. */
  const withheld = new Set<ServiceName>();
  const answers = new Map<ServiceName, Answer>();
  const keeper = createPeriodicTasks(
    { name: "Service conditions", task: keep, atOnce: AT_ONCE, spacingMs: SPACING_MS },
    { clock, log },
  );

  /** The conditions to write, and after how many milliseconds when the same ones were written recently. Undefined: none. */
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
    // The watch may be behind our own write: the time of a transition is not made up twice.
    const before = [...facts.conditions, ...(answer?.conditions ?? [])];
    const time = new Date(clock.wallMicros() / 1000);
    const conditions = mergeConditions(before, modules.wanted(known), facts.generation, time);
    const held = text(facts.conditions);
    if (text(conditions) === held) return undefined;
    if (answer?.asked !== text(conditions)) return { facts, conditions, waitMs: answer?.pace.waitMs(clock.now()) ?? 0 };
    // Another field manager keeps what we gave up: it is not ours to fight for.
    if (held === text(answer.conditions)) return undefined;
    return { facts, conditions, waitMs: Math.max(0, answer.at + EVERY_MS - clock.now()) };
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
    const known = answers.get(facts.service);
    const pace = known?.uid === facts.uid ? known.pace : createPace(CHANGES);
    pace.done(clock.now());
    answers.set(facts.service, { uid: facts.uid, at: clock.now(), asked: text(conditions), conditions: ours, pace });
  }

  async function keep(service: ServiceName, signal: AbortSignal): Promise<number | undefined> {
    if (!leadership.writes) {
      withheld.add(service);
      return undefined;
    }
    const found = due(service);
    if (found === undefined) return undefined;
    if (found.waitMs > 0) return found.waitMs;
    try {
      await write(found.facts, found.conditions, signal);
    } catch (thrown) {
      // Deleted, or another object by now: the watch will report it.
      if (!hasStatus(thrown, 404, 409, 422)) throw thrown;
    }
    return undefined;
  }

  return {
    look(service) {
      if (due(service) !== undefined) keeper.trigger(service);
    },
    async run(signal) {
      const stop = leadership.onChange(() => {
        if (!leadership.writes) return;
        for (const service of withheld) keeper.trigger(service);
        withheld.clear();
      });
      await keeper.run(signal);
      stop();
    },
  };
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
