/**
 * Keeps this program's conditions on Services or policies, by server-side apply with its own field manager: conditions of other
 * writers are not changed.
 *
 * In: objects to check. Nothing is written when the conditions are already there, or while another instance holds the Lease.
 * Conditions that another writer replaces, such as a replica of another version, are restored once a minute. At most twenty
 * writes a second; an object whose write fails is retried and does not delay others.
 */
import { hasStatus, type KubeClient, type KubeObject, type MeshCondition, type Resource } from "@isthmus/kube";
import type { Clock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createPace, type Pace } from "@isthmus/runtime";
import type { Leadership } from "../leader/leadership.js";
import { CONDITION_PREFIX, mergeConditions, type Verdict } from "../objects/conditions.js";
import { createPeriodicTasks } from "../process/periodic-tasks.js";

/** An object that may have conditions of the mesh. */
export interface ConditionedObject {
  /** Has the subresource `status`. */
  readonly resource: Resource;
  /** "" for an object of no namespace. */
  readonly namespace: string;
  /** As in its metadata. */
  readonly name: string;
  /** Another object with the same name is not written. */
  readonly uid: string;
  /** Written as `observedGeneration`; undefined: none is. */
  readonly generation: number | undefined;
  /** Those of the mesh that it has now. */
  readonly conditions: readonly MeshCondition[];
}

interface WithConditions extends KubeObject {
  readonly status?: { readonly conditions?: readonly MeshCondition[] };
}

export interface ConditionWriterModules<Key> {
  /** What the log calls the writes: `Service conditions`. */
  readonly name: string;
  /** Each write has a deadline of 5 s. */
  readonly client: KubeClient;
  /** Its wall clock dates the transitions of conditions; its monotonic time paces writes. */
  readonly clock: Clock;
  /** Gets each new failure, by the key of the object. */
  readonly log: Logger;
  /** The object with the conditions that it has now; undefined: there is none. */
  readonly object: (key: Key) => ConditionedObject | undefined;
  /** A check without the Lease is made up for when it is acquired. */
  readonly leadership: Leadership;
  /** The conditions that the object should have; empty: none. Called at each check and before each write. */
  readonly wanted: (key: Key) => readonly Verdict[];
}

export interface ConditionWriter<Key> {
  /** Call when the wanted conditions of the object may have changed, or its conditions have. */
  check(key: Key): void;
  /** Resolves when aborted, after the writes that run have ended. */
  run(signal: AbortSignal): Promise<void>;
}

export const FIELD_MANAGER = "isthmus.io/clustermesh-apiserver";
const SPACING_MS = 50;
const EVERY_MS = 60_000;
const DEADLINE_MS = 5000;
const AT_ONCE = 4;
/** Pace of changed conditions of one object: a peer's ports can change them as often as the peer writes. */
const CHANGES = { minMs: 200, maxMs: 30_000, quietMs: 60_000 };

/** The last write to an object, and the conditions that it had afterwards. */
interface Answer {
  readonly uid: string;
  /** By the monotonic clock. */
  readonly at: number;
  readonly asked: string;
  readonly conditions: readonly MeshCondition[];
  /** When changed conditions may be written. */
  readonly pace: Pace;
}

/** Writes nothing before `run`; objects that are checked before wait for it. */
export function createConditionWriter<Key>(modules: ConditionWriterModules<Key>): ConditionWriter<Key> {
  const { client, clock, log, leadership, name } = modules;
  /** Objects to check once this instance holds the Lease. */
  const withheld = new Set<Key>();
  const answers = new Map<Key, Answer>();
  const tasks = createPeriodicTasks({ name, task: writeIfDue, atOnce: AT_ONCE, spacingMs: SPACING_MS }, { clock, log });

  /** The conditions to write, and the delay when the object was written recently. Undefined: nothing to write. */
  function due(
    key: Key,
  ): { object: ConditionedObject; conditions: readonly MeshCondition[]; waitMs: number } | undefined {
    const object = modules.object(key);
    if (object === undefined) {
      answers.delete(key);
      withheld.delete(key);
      return undefined;
    }
    const answer = answers.get(key)?.uid === object.uid ? answers.get(key) : undefined;
    // The watch may lag behind the last write: a transition must not get a second time.
    const before = [...object.conditions, ...(answer?.conditions ?? [])];
    const time = new Date(clock.wallMicros() / 1000);
    const conditions = mergeConditions(before, modules.wanted(key), object.generation, time);
    const current = text(object.conditions);
    if (text(conditions) === current) return undefined;
    if (answer?.asked !== text(conditions))
      return { object, conditions, waitMs: answer?.pace.waitMs(clock.now()) ?? 0 };
    // Nothing changed since the last write: what still differs is kept by another field manager, and is left to it.
    if (current === text(answer.conditions)) return undefined;
    return { object, conditions, waitMs: Math.max(0, answer.at + EVERY_MS - clock.now()) };
  }

  async function write(
    key: Key,
    { resource, namespace, name, uid }: ConditionedObject,
    conditions: readonly MeshCondition[],
    signal: AbortSignal,
  ): Promise<void> {
    // The uid excludes another object that was created with the same name.
    const metadata = { ...(namespace === "" ? {} : { namespace }), name, uid };
    const object: WithConditions = { metadata, status: { conditions } };
    const target = {
      manager: FIELD_MANAGER,
      force: true,
      subresource: "status",
      signal,
      timeoutMs: DEADLINE_MS,
    } as const;
    const applied = (await client.apply<WithConditions>(resource, object, target)).status?.conditions ?? [];
    const meshConditions = applied.filter(({ type }) => type.startsWith(CONDITION_PREFIX));
    const known = answers.get(key);
    const pace = known?.uid === uid ? known.pace : createPace(CHANGES);
    pace.recordRun(clock.now());
    answers.set(key, {
      uid,
      at: clock.now(),
      asked: text(conditions),
      conditions: meshConditions,
      pace,
    });
  }

  async function writeIfDue(key: Key, signal: AbortSignal): Promise<number | undefined> {
    if (!leadership.writes) {
      withheld.add(key);
      return undefined;
    }
    const task = due(key);
    if (task === undefined) return undefined;
    if (task.waitMs > 0) return task.waitMs;
    try {
      await write(key, task.object, task.conditions, signal);
    } catch (thrown) {
      // The object was deleted or replaced: the watch will report it.
      if (!hasStatus(thrown, 404, 409, 422)) throw thrown;
    }
    return undefined;
  }

  return {
    check(key) {
      if (due(key) !== undefined) tasks.trigger(key);
    },
    async run(signal) {
      const stop = leadership.onChange(() => {
        if (!leadership.writes) return;
        for (const key of withheld) tasks.trigger(key);
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
