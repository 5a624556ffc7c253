/** For tests: the events of a node's programs without a kernel. */
import {
  EventKind,
  EventLimit,
  EventPoint,
  PacketEvent,
  type PacketEvents,
  type RingBatch,
  Verdict,
} from "@isthmus/bpf";
import { parseAddress } from "@isthmus/model";
import type { FlowEvent } from "@isthmus/proto";
import { createFakeClock } from "@isthmus/testing";
import { startEventFeed } from "../event-feed.js";
import { createPodNames } from "../pod-names.js";
import { makePolicyNames } from "./policy-names.js";
import { makeServiceNames } from "./service-names.js";

/**
 * A feed over events that the test writes; pods are shop/a (10.1.0.1, device 11) and shop/b (10.1.0.2, device 12), and
 * shop/web is a Service (10.96.0.10:80).
 */
export function startFakeFeed(signal: AbortSignal = new AbortController().signal) {
  const clock = createFakeClock();
  const pods = createPodNames();
  pods.set(11, { namespace: "shop", name: "a", addresses: [parseAddress("10.1.0.1")] });
  pods.set(12, { namespace: "shop", name: "b", addresses: [parseAddress("10.1.0.2")] });
  const counts = { limited: 0, lost: 0 };
  let wanted: readonly number[] = [];
  let onBatch: ((batch: RingBatch) => void) | undefined;
  const events: PacketEvents = {
    want(kinds) {
      wanted = [...kinds].sort();
    },
    read(_, listener) {
      onBatch = listener;
      return {
        close() {
          onBatch = undefined;
        },
      };
    },
    counts: () => ({ ...counts }),
  };
  const { engine, policies } = makePolicyNames();
  const dropped: FlowEvent[] = [];
  const feed = startEventFeed({
    ...{ events, pods, services: makeServiceNames().services, backends: { byId: () => undefined }, clock, signal },
    policies,
    monotonicMicros: () => clock.now() * 1000,
    dropped: (event) => void dropped.push(event),
  });
  return {
    feed,
    pods,
    /** By which the feed knows identities and rules. */
    engine,
    /** What the feed gave to `dropped`. */
    dropped,
    clock,
    counts,
    wanted: () => wanted,
    reading: () => onBatch !== undefined,
    /** Hands a batch to the feed, as the addon's thread does. */
    write(all: readonly Partial<PacketEvent>[], lost = 0): void {
      const records = Buffer.concat(all.map(record));
      onBatch?.({ records, lost });
    },
  };
}

/** The first packet of a flow from shop/a; `kind` and what else differs. */
function record(fields: Partial<PacketEvent>): Buffer {
  const bytes = PacketEvent.encode({
    ...PacketEvent.decode(new Uint8Array(PacketEvent.size)),
    ...{ version: EventLimit.Version, kind: EventKind.FlowNew, point: EventPoint.FromPod, verdict: Verdict.Deliver },
    ...{ proto: 6, ifindex: 11, source: parseAddress("10.1.0.1"), target: parseAddress("10.1.0.2"), targetPort: 80 },
    ...fields,
  });
  const head = Buffer.alloc(8);
  head.writeUInt32LE(bytes.length);
  return Buffer.concat([head, bytes]);
}
