/**
 * Writes Events on objects (events.k8s.io/v1): a repeated Event increases a count instead of creating another object.
 *
 * Reporting returns nothing and never fails: an Event that the API refuses is logged and dropped, one without an answer
 * is retried a few times, and a full queue drops the newest. Several are written concurrently, so that one without an
 * answer delays the others by its deadline at most.
 */
import { createHash } from "node:crypto";
import { type Clock, printable, systemClock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { type Backoff, createBackoff } from "@isthmus/runtime";
import type { KubeClient } from "./client.js";
import { hasStatus, isRefusal } from "./errors.js";
import { apiVersion, EVENTS, type Resource } from "./resources.js";

export interface ReportedEvent {
  /** Of the object that the Event is about. */
  readonly resource: Resource;
  /** Absent for a cluster-scoped object: its Events are in namespace "default". */
  readonly namespace?: string;
  /** Of the object; the Event's own name begins with it. */
  readonly name: string;
  /** Of the object: an object with the same name and another uid gets Events of its own. */
  readonly uid: string;
  /** Not part of what makes two Events the same: uid, reason and note are. */
  readonly type: "Normal" | "Warning";
  /** UpperCamelCase: `InvalidAnnotation`. */
  readonly reason: string;
  /** What was done: `Validate`. */
  readonly action: string;
  /** One or two sentences for people. The recorder makes them printable and cuts them to 1,024 bytes. */
  readonly note: string;
}

export interface EventRecorder {
  /** Returns at once and never throws; drops the Event when 1,000 wait or it was reported within `quietMs`. */
  report(event: ReportedEvent): void;
  /** Resolves when every reported Event is written or dropped. */
  settled(): Promise<void>;
}

export interface EventRecorderOptions {
  /** `isthmus.io/clustermesh-apiserver` */
  readonly controller: string;
  /** The process, as `reportingInstance`: at most 128 characters for the API. */
  readonly instance: string;
  /** The same event is not written again within this time; ten minutes unless given. */
  readonly quietMs?: number;
}

const MAX_QUEUE = 1000;
const AT_ONCE = 4;
const DEADLINE_MS = 5000;
/** The limit that the API enforces. */
const NOTE_BYTES = 1024;
const MAX_REMEMBERED = 10_000;
/** Together about half a minute: longer than an API server takes to restart. */
const TRIES = 7;
const RETRY = { minMs: 500, maxMs: 10_000 };

interface Pending {
  readonly event: ReportedEvent;
  readonly backoff: Backoff;
  failures: number;
}

export interface EventRecorderModules {
  /** Needs the rights to create and patch events. */
  readonly client: KubeClient;
  /** Gets a warning for each Event that is dropped after a refusal or the last retry. */
  readonly log: Logger;
  /** The system's unless given. */
  readonly clock?: Clock;
  /** Drops the Events that wait for a retry when it aborts. */
  readonly signal?: AbortSignal;
}

/** Counts of repeated Events are those of this process. */
export function createEventRecorder(options: EventRecorderOptions, modules: EventRecorderModules): EventRecorder {
  const clock = modules.clock ?? systemClock;
  const written = new Map<string, number>();
  /** Counts of this process: they begin again after a restart. */
  const counts = new Map<string, number>();
  const queue: Pending[] = [];
  const writing = new Set<Promise<void>>();
  const waiting = new Set<Promise<void>>();

  async function write(event: ReportedEvent, name: string): Promise<void> {
    const namespace = event.namespace ?? "default";
    const now = new Date(clock.wallMicros() / 1000).toISOString().replace("Z", "000Z");
    try {
      await modules.client.create(EVENTS, eventObject(options, event, name, namespace, now), {
        timeoutMs: DEADLINE_MS,
      });
    } catch (thrown) {
      if (!hasStatus(thrown, 409)) throw thrown;
      const count = (counts.get(name) ?? 1) + 1;
      counts.set(name, count);
      const series = { count, lastObservedTime: now };
      await modules.client.mergePatch(EVENTS, name, { series }, { namespace, timeoutMs: DEADLINE_MS });
    }
  }

  async function attempt(pending: Pending): Promise<void> {
    const { event } = pending;
    const name = eventName(event);
    try {
      await write(event, name);
    } catch (error) {
      if (!isRefusal(error) && ++pending.failures < TRIES && modules.signal?.aborted !== true)
        return retryLater(pending);
      written.delete(name);
      modules.log.warn("Event not written", { reason: event.reason, object: event.name, error });
    }
  }

  function retryLater(pending: Pending): void {
    const work: Promise<void> = clock
      .delay(pending.backoff.nextMs(), modules.signal)
      .then(() => {
        queue.push(pending);
        writeNext();
      })
      .catch(() => undefined)
      .finally(() => waiting.delete(work));
    waiting.add(work);
  }

  function writeNext(): void {
    if (writing.size >= AT_ONCE) return;
    const pending = queue.shift();
    if (pending === undefined) return;
    const work: Promise<void> = attempt(pending).then(() => {
      writing.delete(work);
      writeNext();
    });
    writing.add(work);
  }

  return {
    report(event) {
      const name = eventName(event);
      const last = written.get(name);
      if (queue.length + waiting.size >= MAX_QUEUE) return;
      if (last !== undefined && clock.now() - last < (options.quietMs ?? 600_000)) return;
      if (written.size >= MAX_REMEMBERED) {
        written.clear();
        counts.clear();
      }
      written.set(name, clock.now());
      queue.push({ event, backoff: createBackoff(RETRY), failures: 0 });
      writeNext();
    },
    async settled() {
      while (writing.size + waiting.size > 0) await Promise.all([...writing, ...waiting]);
    },
  };
}

/** The same reason and note on the same object give the same name. */
function eventName(event: ReportedEvent): string {
  const digest = createHash("sha256").update(`${event.uid}\0${event.reason}\0${event.note}`).digest("hex").slice(0, 16);
  return `${event.name.slice(0, 200)}.${digest}`;
}

function eventObject(
  options: EventRecorderOptions,
  event: ReportedEvent,
  name: string,
  namespace: string,
  now: string,
) {
  return {
    metadata: { name, namespace },
    eventTime: now,
    reportingController: options.controller,
    reportingInstance: options.instance,
    action: event.action,
    reason: event.reason,
    type: event.type,
    note: noteText(event.note),
    regarding: {
      apiVersion: apiVersion(event.resource),
      kind: event.resource.kind,
      ...(event.namespace === undefined ? {} : { namespace: event.namespace }),
      name: event.name,
      uid: event.uid,
    },
  };
}

function noteText(note: string): string {
  const text = printable(note, NOTE_BYTES);
  if (Buffer.byteLength(text) <= NOTE_BYTES) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(NOTE_BYTES - Buffer.byteLength("…")));
  return `${text.slice(0, read)}…`;
}
