/**
 * Events on objects (events.k8s.io/v1): a repeated one grows its count instead of making another object.
 *
 * In: a fact about an object. Nothing comes out: failures are logged and dropped, a queue over its limit drops the newest.
 */
import { createHash } from "node:crypto";
import { type Clock, systemClock } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { KubeClient } from "./client.js";
import { hasStatus } from "./errors.js";
import { apiVersion, EVENTS, type Resource } from "./resources.js";

export interface ReportedEvent {
  readonly resource: Resource;
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  readonly type: "Normal" | "Warning";
  /** UpperCamelCase: `InvalidAnnotation`. */
  readonly reason: string;
  /** What was done: `Validate`. */
  readonly action: string;
  /** One or two sentences for people, ≤ 1 kB. */
  readonly note: string;
}

export interface EventRecorder {
  report(event: ReportedEvent): void;
  /** Resolves when what was reported so far is written or given up. */
  settled(): Promise<void>;
}

export interface EventRecorderOptions {
  /** `isthmus.io/clustermesh-apiserver` */
  readonly controller: string;
  readonly instance: string;
  /** The same event is not written again within this time; ten minutes unless given. */
  readonly quietMs?: number;
}

const MAX_QUEUE = 1000;
const MAX_REMEMBERED = 10_000;

export function createEventRecorder(
  options: EventRecorderOptions,
  modules: { readonly client: KubeClient; readonly log: Logger; readonly clock?: Clock },
): EventRecorder {
  const clock = modules.clock ?? systemClock;
  const written = new Map<string, number>();
  /** Of this process: after a restart the count begins again. */
  const counts = new Map<string, number>();
  let queued = 0;
  let tail: Promise<void> = Promise.resolve();

  async function write(event: ReportedEvent, name: string): Promise<void> {
    const namespace = event.namespace ?? "default";
    const now = new Date(clock.wallMicros() / 1000).toISOString().replace("Z", "000Z");
    try {
      await modules.client.create(EVENTS, eventObject(options, event, name, namespace, now));
    } catch (thrown) {
      if (!hasStatus(thrown, 409)) throw thrown;
      const count = (counts.get(name) ?? 1) + 1;
      counts.set(name, count);
      await modules.client.mergePatch(EVENTS, name, { series: { count, lastObservedTime: now } }, { namespace });
    }
  }

  return {
    report(event) {
      const name = eventName(event);
      const last = written.get(name);
      if (queued >= MAX_QUEUE || (last !== undefined && clock.now() - last < (options.quietMs ?? 600_000))) return;
      if (written.size >= MAX_REMEMBERED) {
        written.clear();
        counts.clear();
      }
      written.set(name, clock.now());
      queued++;
      tail = tail
        .then(() => write(event, name))
        .catch((error) => {
          written.delete(name);
          modules.log.warn("Event not written", { reason: event.reason, object: event.name, error });
        })
        .finally(() => {
          queued--;
        });
    },
    settled: () => tail,
  };
}

/** The same fact about the same object has the same name. */
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
    note: event.note.slice(0, 1000),
    regarding: {
      apiVersion: apiVersion(event.resource),
      kind: event.resource.kind,
      ...(event.namespace === undefined ? {} : { namespace: event.namespace }),
      name: event.name,
      uid: event.uid,
    },
  };
}
