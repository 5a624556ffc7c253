/** Puts events and the labels of their ends' identities into batches of bounded size (pure). */
import type { NamedIdentity } from "@isthmus/node-policy";
import type { EventBatch, EventIdentity, FlowEnd, FlowEvent, PolicyName } from "@isthmus/proto";
import type { PolicyNames } from "./policy-names.js";

/** An event, and what the identities of its ends stood for when it was read. */
export interface QueuedEvent {
  readonly event: FlowEvent;
  readonly identities: readonly (readonly [number: number, NamedIdentity])[];
}

/** Events in one batch: about 50 KB as a message, 70 KB of flows to Services. */
export const BATCH_EVENTS = 500;
/** Bytes of a batch as a message, about, before the event that is above it: a server takes 320 KB. */
const BATCH_BYTES = 200 << 10;
/** Of an event without texts, and of an identity. */
const EVENT_BYTES = 160;
const IDENTITY_BYTES = 64;
/** Tags and lengths of a label, or of the name of a policy. */
const NESTED_BYTES = 12;

export function queuedEvent(event: FlowEvent, policies: Pick<PolicyNames, "identity">): QueuedEvent {
  const numbers = [event.source?.identity ?? 0, event.destination?.identity ?? 0];
  if (numbers.every((number) => number === 0)) return { event, identities: [] };
  const identities = numbers.flatMap((number) => {
    const identity = number === 0 ? undefined : policies.identity(number);
    return identity === undefined ? [] : [[number, identity] as const];
  });
  return { event, identities };
}

/** Removes from the head of the queue what fits into one batch. Each identity is in it once. */
export function takeEvents(queue: QueuedEvent[]): Pick<EventBatch, "events" | "identities"> {
  const identities = new Map<number, EventIdentity>();
  let [count, bytes] = [0, 0];
  for (const { event, identities: ends } of queue) {
    if (count === BATCH_EVENTS || bytes > BATCH_BYTES) break;
    count++;
    bytes += eventBytes(event);
    for (const [number, { labels, moreLabels, prefix, labelBytes }] of ends) {
      if (identities.has(number)) continue;
      identities.set(number, { number, labels, moreLabels, prefix });
      bytes += IDENTITY_BYTES + labelBytes + labels.length * NESTED_BYTES;
    }
  }
  const events = queue.splice(0, count).map(({ event }) => event);
  return { events, identities: [...identities.values()] };
}

/** Names of Kubernetes are ASCII. */
function eventBytes({ source, destination, service, move, policy, dropReason, dropMeaning }: FlowEvent): number {
  const names = endLength(source) + endLength(destination) + endLength(move?.backend);
  const ofService = service === undefined ? 0 : service.namespace.length + service.name.length;
  const ofPolicy =
    policy === undefined
      ? 0
      : policy.rules.reduce((sum, { policy: name, path }) => sum + nameLength(name) + path.length, 0) +
        policy.isolating.reduce((sum, name) => sum + nameLength(name), 0);
  return EVENT_BYTES + names + ofService + ofPolicy + dropReason.length + dropMeaning.length;
}

function endLength(end: FlowEnd | undefined): number {
  return end === undefined ? 0 : end.namespace.length + end.pod.length;
}

function nameLength(policy: PolicyName | undefined): number {
  return policy === undefined ? 0 : NESTED_BYTES + policy.kind.length + policy.namespace.length + policy.name.length;
}
