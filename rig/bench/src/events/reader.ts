/** The agent's part of events in a process of its own: from the ring buffer to encoded answers, without the socket. */

import {
  createDesiredState,
  createPodNames,
  createQuerySession,
  createServiceNames,
  startEventFeed,
} from "@isthmus/agent";
import { MAP_NAMES, native, openPacketEvents } from "@isthmus/bpf";
import { parseAddress, systemClock } from "@isthmus/model";
import { AgentMessage, EventFilter, NodeFigures } from "@isthmus/proto";

export interface ReaderFigures {
  /** CPU time of this process, of one core. */
  readonly corePercent: number;
  readonly read: number;
  readonly sent: number;
  /** Events that the queue between thread and event loop had no room for. */
  readonly late: number;
  /** Events that the answers say are not in them. */
  readonly notShown: number;
}

const [folder = ""] = process.argv.slice(2);
/** The last events are in a batch of a tenth of a second. */
const SETTLE_MS = 300;

const events = openPacketEvents((name) => native().openPin(`${folder}/${name}`));
const pods = createPodNames();
pods.set(1, { namespace: "shop", name: "cart", addresses: [parseAddress("10.1.0.1")] });
const services = createServiceNames(createDesiredState());
const life = new AbortController();
const monotonicMicros = () => Number(process.hrtime.bigint() / 1000n);
const feed = startEventFeed({
  events,
  pods,
  services,
  backends: { byId: () => undefined },
  policies: { identityAt: () => 0, identity: () => undefined, rules: () => [], isolating: () => [] },
  clock: systemClock,
  monotonicMicros,
  signal: life.signal,
});
let [sent, notShown] = [0, 0];
const session = createQuerySession({
  events: feed,
  maps: { open: () => ({ problem: "not measured" }) },
  frontends: { open: () => ({ problem: "not measured" }) },
  figures: () => NodeFigures.fromPartial({}),
  policy: () => ({ problem: "not measured" }),
  clock: systemClock,
  send(answer) {
    AgentMessage.encode({ message: { $case: "answer", value: answer } }).finish();
    if (answer.part?.$case !== "events") return;
    const { events: all, notShown: missed } = answer.part.value;
    sent += all.length;
    if (missed !== undefined) notShown += Number(missed.limited + missed.ringFull + missed.late + missed.slow);
    setImmediate(() => session.receive({ id: 1, message: { $case: "credit", value: 1 } }));
  },
});

let [cpu, began] = [process.cpuUsage(), performance.now()];
process.on("message", (what) => {
  if (what === "begin") {
    const value = EventFilter.create();
    const query = { credit: 4, query: { $case: "monitor", value } } as const;
    session.receive({ id: 1, message: { $case: "query", value: query } });
    [cpu, began] = [process.cpuUsage(), performance.now()];
    process.send?.("begun");
    return;
  }
  const used = process.cpuUsage(cpu);
  const corePercent = (used.user + used.system) / 10 / (performance.now() - began);
  setTimeout(() => {
    const figures: ReaderFigures = { corePercent, read: feed.counts.read, sent, late: feed.counts.late, notShown };
    process.send?.(figures, () => process.exit());
  }, SETTLE_MS);
});
process.send?.(`reading ${MAP_NAMES.events}`);
