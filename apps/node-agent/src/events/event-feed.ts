/**
 * Reads the events of the packet path, and passes them to the subscribers.
 *
 * ```
 *   ring buffer ─► thread of the addon ─► this feed ─┬─► the latest denials, for later subscribers
 *                                                    └─► queue of each subscriber ─► batches, a few a second
 * ```
 * Programs write drops always, and what passes in audit mode; flows only while a subscriber may get some: one that asks for those of
 * a pod gets none on other nodes. Every queue is bounded; what does not fit is counted and reported in the next batch.
 */
import { EventKind, eachRecord, type PacketEvents, type RingBatch } from "@isthmus/bpf";
import type { Clock } from "@isthmus/model";
import { type EventBatch, type EventFilter, type EventsNotShown, type FlowEvent, FlowEventKind } from "@isthmus/proto";
import { sleep } from "@isthmus/runtime";
import type { BackendAddresses } from "./backend-addresses.js";
import { decodeEvent } from "./decode-event.js";
import { BATCH_EVENTS, type QueuedEvent, queuedEvent, takeEvents } from "./event-batch.js";
import type { PodNames } from "./pod-names.js";
import type { PolicyNames } from "./policy-names.js";
import type { ServiceNames } from "./service-names.js";

export interface EventFeedModules {
  /** Of the datapath in mode `packets`. */
  readonly events: PacketEvents;
  /** The names of this node's pods. */
  readonly pods: Pick<PodNames, "byAddress" | "byDevice" | "has" | "onChange">;
  /** The names of Services. */
  readonly services: ServiceNames;
  /** The backends that connects are moved to. */
  readonly backends: BackendAddresses;
  /** The identities and rules of policies. */
  readonly policies: PolicyNames;
  /** Times batches; its wall clock is that of the events. */
  readonly clock: Clock;
  /** Microseconds of the kernel's monotonic clock, by which programs time events. */
  readonly monotonicMicros: () => number;
  /** Ends the reading; programs write no events then. */
  readonly signal: AbortSignal;
  /** Gets every drop that was read. */
  readonly dropped?: (event: FlowEvent) => void;
}

export interface EventSubscription {
  /** The next batch: as many events as it takes, or what was not shown; undefined when there is neither. */
  take(): EventBatch | undefined;
  /** Calls the listener whenever events wait and a batch is due. */
  onReady(listener: () => void): void;
  /** Ends it. */
  close(): void;
}

export interface EventFeed {
  /** Begins with the latest denials, in audit mode too, that the filter lets pass. */
  subscribe(filter: EventFilter): EventSubscription;
  /** Subscriptions that are open. */
  readonly subscribers: number;
  /** Events that were read, and those that were not because a queue was full, since the start. */
  readonly counts: { readonly read: number; readonly late: number };
}

/** Between two batches that are not full. */
const BATCH_MS = 100;
/** Events that wait for a subscriber: 8 batches. */
const MAX_QUEUED = 8 * BATCH_EVENTS;
/** Denials that are kept for later subscribers. */
const RECENT_DENIALS = 100;
/** Bytes of events between the addon's thread and the event loop: about 30,000 events. */
const MAX_QUEUED_BYTES = 4 << 20;

/** Always asked for. */
const DENIALS = [EventKind.Drop, EventKind.Audited];
const FLOWS = [EventKind.FlowNew, EventKind.FlowPickedUp, EventKind.FlowClosed, EventKind.Moved];

/** Reads from now on, until the signal aborts. */
export function startEventFeed(modules: EventFeedModules): EventFeed {
  const { events, pods, services, backends, policies, clock, monotonicMicros, signal, dropped } = modules;
  const subscribers = new Set<Subscriber>();
  const recent: QueuedEvent[] = [];
  const counts = { read: 0, late: 0 };
  const names = { pods, services, backends, policies };

  /** What passes the filter has a source that is named, and only pods of this node have names. */
  function mayGetFlows({ filter: { fromNamespace, fromPod, dropsOnly } }: Subscriber): boolean {
    return !dropsOnly && (fromPod === "" || pods.has({ namespace: fromNamespace, name: fromPod }));
  }

  function want(): void {
    const flows = [...subscribers].some(mayGetFlows);
    events.want(signal.aborted ? [] : flows ? [...DENIALS, ...FLOWS] : DENIALS);
  }

  function takeBatch(batch: RingBatch): void {
    const offsetMicros = clock.wallMicros() - monotonicMicros();
    counts.late += batch.lost;
    for (const subscriber of subscribers) subscriber.late += batch.lost;
    eachRecord(batch, (view, at, length) => {
      const event = decodeEvent(view, { at, length }, offsetMicros, names);
      if (event === undefined) return;
      counts.read++;
      const queued = queuedEvent(event, policies);
      if (isDenial(event)) {
        recent.push(queued);
        if (recent.length > RECENT_DENIALS) recent.shift();
      }
      if (event.kind === FlowEventKind.FLOW_EVENT_KIND_DROP) dropped?.(event);
      for (const subscriber of subscribers) if (passes(event, subscriber.filter)) offer(subscriber, queued);
    });
    for (const subscriber of subscribers) ready(subscriber);
  }

  function offer(subscriber: Subscriber, event: QueuedEvent): void {
    if (subscriber.queue.length >= MAX_QUEUED) subscriber.slow++;
    else subscriber.queue.push(event);
  }

  /** Calls the listener at once for a full batch, else after a while in which more may come. */
  function ready(subscriber: Subscriber): void {
    if (subscriber.queue.length >= BATCH_EVENTS) subscriber.listener();
    else if (subscriber.queue.length > 0 && !subscriber.due) {
      subscriber.due = true;
      void sleep(clock, BATCH_MS, subscriber.life.signal).then(() => {
        subscriber.due = false;
        if (!subscriber.life.signal.aborted) subscriber.listener();
      });
    }
  }

  const reader = events.read(MAX_QUEUED_BYTES, takeBatch);
  pods.onChange(() => {
    if (!signal.aborted) want();
  });
  want();
  signal.addEventListener(
    "abort",
    () => {
      reader.close();
      want();
    },
    { once: true },
  );

  return {
    counts,
    get subscribers() {
      return subscribers.size;
    },
    subscribe(filter) {
      const subscriber: Subscriber = {
        ...{ filter, queue: recent.filter(({ event }) => passes(event, filter)), late: 0, slow: 0 },
        ...{ before: events.counts(), listener: () => undefined, due: false, life: new AbortController() },
      };
      subscribers.add(subscriber);
      want();
      return {
        take: () => takeFrom(subscriber, events),
        onReady(listener) {
          subscriber.listener = listener;
          ready(subscriber);
        },
        close() {
          subscribers.delete(subscriber);
          subscriber.life.abort();
          want();
        },
      };
    },
  };
}

interface Subscriber {
  readonly filter: EventFilter;
  readonly queue: QueuedEvent[];
  /** Events that were not queued since the last batch: read too late, or the queue was full. */
  late: number;
  slow: number;
  /** Counts of the programs at the batch before. */
  before: { readonly limited: number; readonly lost: number };
  listener: () => void;
  /** The listener is called in a while. */
  due: boolean;
  readonly life: AbortController;
}

function takeFrom(subscriber: Subscriber, events: Pick<PacketEvents, "counts">): EventBatch | undefined {
  const taken = takeEvents(subscriber.queue);
  const now = events.counts();
  const { before, late, slow } = subscriber;
  const notShown = notShownOf({ limited: now.limited - before.limited, ringFull: now.lost - before.lost, late, slow });
  Object.assign(subscriber, { before: now, late: 0, slow: 0 });
  return taken.events.length === 0 && notShown === undefined ? undefined : { ...taken, notShown };
}

function notShownOf(counts: {
  readonly limited: number;
  readonly ringFull: number;
  readonly late: number;
  readonly slow: number;
}): EventsNotShown | undefined {
  const { limited, ringFull, late, slow } = counts;
  if (limited + ringFull + late + slow === 0) return undefined;
  return { limited: BigInt(limited), ringFull: BigInt(ringFull), late: BigInt(late), slow: BigInt(slow) };
}

/** True for a drop, and for what would be one without audit mode. */
function isDenial({ kind }: Pick<FlowEvent, "kind">): boolean {
  return kind === FlowEventKind.FLOW_EVENT_KIND_DROP || kind === FlowEventKind.FLOW_EVENT_KIND_AUDITED;
}

/** Whether a filter lets an event pass. */
export function passes({ kind, source, service }: FlowEvent, filter: EventFilter): boolean {
  if (filter.dropsOnly && !isDenial({ kind })) return false;
  if (filter.fromPod !== "" && (source?.pod !== filter.fromPod || source.namespace !== filter.fromNamespace))
    return false;
  return filter.service === "" || (service?.name === filter.service && service.namespace === filter.serviceNamespace);
}
