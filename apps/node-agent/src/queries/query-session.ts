/**
 * The queries of one stream: starts, feeds and ends them.
 *
 * ```
 *   query ─► answering ── parts, as far as there is credit ─► … ── the last part, cancel, or the stream is over ─► ended
 *      └──── not answered: a last part with a problem
 * ```
 * A part is sent only against credit that the server gave, so a slow reader costs a bounded queue here and nothing on the
 * way.
 */
import { type Clock, MeshError } from "@isthmus/model";
import type {
  EventFilter,
  FrontendsQuery,
  MapQuery,
  NodeFigures,
  PolicyQuery,
  Query,
  QueryAnswer,
  QueryMessage,
} from "@isthmus/proto";
import { inTurns, type Slices, sleep } from "@isthmus/runtime";
import type { FrontendLookup } from "../dump/frontend-lookup.js";
import type { MapParts, MapQueries } from "../dump/map-queries.js";
import type { PolicyLookup } from "../dump/policy-lookup.js";
import type { EventFeed, EventSubscription } from "../events/event-feed.js";

export interface QuerySessionModules {
  /** Undefined: this node has no events; the sentence says why. */
  readonly events: EventFeed | { readonly problem: string };
  /** The rows of this node's maps. */
  readonly maps: MapQueries;
  /** What programs find for a frontend. */
  readonly frontends: FrontendLookup;
  /** The figures of this node now. Throws when a map cannot be read. */
  readonly figures: () => NodeFigures;
  /** The entries of maps that decide about a flow. Throws likewise. */
  readonly policy: PolicyLookup;
  /** Sends a part of an answer. */
  readonly send: (answer: QueryAnswer) => void;
  /** Times the reports of what was not shown. */
  readonly clock: Clock;
}

export interface QuerySession {
  /** Takes a message of the server. One that does not fit is ignored, or answered with a problem. */
  receive(message: QueryMessage): void;
  /** Ends all queries; sends nothing more. */
  close(): void;
}

/** Queries of one stream at once: a server has one for each reader that it serves. */
const MAX_QUERIES = 16;
/** Of them, those that read maps: one of flows keeps four bytes per row of the table, 2 MB, while it runs. */
const MAX_DUMPS = 4;
/** Parts that a server may grant at once. */
const MAX_CREDIT = 1024;
/** How often what was not shown is reported while no events come. */
const NOT_SHOWN_MS = 1000;

interface Running {
  credit: number;
  /** It reads a map. */
  readonly isDump: boolean;
  /** Sends what there is, as far as the credit goes. */
  readonly pump: () => void;
  readonly close: () => void;
}

/** Sends nothing before the first query. */
export function createQuerySession(modules: QuerySessionModules): QuerySession {
  const { events, maps, figures, policy, send, clock } = modules;
  const running = new Map<number, Running>();

  function refuse(id: number, problem: string): void {
    send({ id, last: true, problem, part: undefined });
  }

  function start(id: number, { credit, query }: Query): void {
    if (running.has(id)) return;
    if (running.size >= MAX_QUERIES) return void refuse(id, `the agent answers at most ${MAX_QUERIES} queries at once`);
    const started = answer(id, query, Math.min(credit, MAX_CREDIT));
    if ("problem" in started) return void refuse(id, started.problem);
    running.set(id, started);
    started.pump();
  }

  function answer(id: number, query: Query["query"], credit: number): Running | { readonly problem: string } {
    if (query?.$case === "monitor") return "problem" in events ? events : monitor(id, events, query.value, credit);
    if (query?.$case === "map") return dump(id, query.value, credit);
    if (query?.$case === "figures") return onePart(id, credit, () => ({ $case: "figures", value: figures() }));
    if (query?.$case === "policy") return onePart(id, credit, () => policyPart(query.value));
    if (query?.$case === "frontends") return lookUp(id, query.value, credit);
    return { problem: "the agent does not know this query: it is of an older version" };
  }

  /** Undefined: one more query may read maps. */
  function dumpProblem(): { readonly problem: string } | undefined {
    if ([...running.values()].filter(({ isDump }) => isDump).length < MAX_DUMPS) return undefined;
    return { problem: `the agent reads at most ${MAX_DUMPS} maps at once: try again when another command has ended` };
  }

  /** One part, once there is credit for it. */
  function lookUp(id: number, wanted: FrontendsQuery, credit: number): Running | { readonly problem: string } {
    const problem = dumpProblem();
    if (problem !== undefined) return problem;
    const work = modules.frontends.open(wanted);
    if ("problem" in work) return work;
    const life = new AbortController();
    let isReading = false;
    const query: Running = {
      credit,
      isDump: true,
      pump() {
        if (query.credit === 0 || isReading) return;
        isReading = true;
        inTurns(untilAborted(work, life.signal)).then(
          (value) => finish({ part: { $case: "frontends", value }, problem: "" }),
          (thrown: unknown) => {
            const sentence = `the agent cannot read its maps: ${MeshError.from(thrown).message}`;
            finish({ part: undefined, problem: sentence });
          },
        );
      },
      close: () => life.abort(),
    };
    const finish = (answer: Pick<QueryAnswer, "part" | "problem">) => {
      if (life.signal.aborted) return;
      running.delete(id);
      send({ id, last: true, ...answer });
    };
    return query;
  }

  function dump(id: number, wanted: MapQuery, credit: number): Running | { readonly problem: string } {
    const problem = dumpProblem();
    if (problem !== undefined) return problem;
    const parts = maps.open(wanted);
    if ("problem" in parts) return parts;
    const life = new AbortController();
    let isReading = false;
    const query: Running = {
      credit,
      isDump: true,
      pump() {
        if (isReading) return;
        isReading = true;
        void sendParts(id, query, parts, life.signal).finally(() => {
          isReading = false;
        });
      },
      close: () => life.abort(),
    };
    return query;
  }

  /** Reads and sends as far as the credit goes; rows that wait for credit are not read yet. */
  async function sendParts(id: number, query: Running, parts: MapParts, signal: AbortSignal): Promise<void> {
    try {
      while (query.credit > 0) {
        const value = await parts.next(signal);
        signal.throwIfAborted();
        query.credit--;
        const last = value.summary !== undefined;
        if (last) running.delete(id);
        send({ id, last, problem: "", part: { $case: "rows", value } });
        if (last) return;
      }
    } catch (thrown) {
      if (signal.aborted) return;
      running.delete(id);
      refuse(id, `the agent cannot read the map: ${MeshError.from(thrown).message}`);
    }
  }

  function policyPart(query: PolicyQuery): QueryAnswer["part"] | { readonly problem: string } {
    const entries = policy(query);
    return "problem" in entries ? entries : { $case: "policy", value: entries };
  }

  /** What `read` returns, once there is credit for it. */
  function onePart(
    id: number,
    credit: number,
    read: () => QueryAnswer["part"] | { readonly problem: string },
  ): Running {
    const query: Running = {
      credit,
      isDump: false,
      pump() {
        if (query.credit === 0) return;
        running.delete(id);
        try {
          const part = read();
          if (part !== undefined && "problem" in part) refuse(id, part.problem);
          else send({ id, last: true, problem: "", part });
        } catch (thrown) {
          refuse(id, `the agent cannot read its maps: ${MeshError.from(thrown).message}`);
        }
      },
      close: () => undefined,
    };
    return query;
  }

  function monitor(id: number, feed: EventFeed, filter: EventFilter, credit: number): Running {
    const subscription: EventSubscription = feed.subscribe(filter);
    const life = new AbortController();
    const query: Running = {
      credit,
      isDump: false,
      pump() {
        while (query.credit > 0) {
          const batch = subscription.take();
          if (batch === undefined) return;
          query.credit--;
          send({ id, last: false, problem: "", part: { $case: "events", value: batch } });
        }
      },
      close() {
        life.abort();
        subscription.close();
      },
    };
    subscription.onReady(query.pump);
    void pumpAgain(query.pump, life.signal);
    return query;
  }

  /** Tells what was not shown while no events come. */
  async function pumpAgain(pump: () => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(clock, NOT_SHOWN_MS, signal);
      if (signal.aborted) return;
      pump();
    }
  }

  return {
    receive({ id, message }) {
      if (message?.$case === "query") return void start(id, message.value);
      const query = running.get(id);
      if (query === undefined) return;
      if (message?.$case === "credit") {
        query.credit = Math.min(query.credit + message.value, MAX_CREDIT);
        query.pump();
      } else if (message?.$case === "cancel") {
        running.delete(id);
        query.close();
      }
    },
    close() {
      for (const query of running.values()) query.close();
      running.clear();
    },
  };
}

/** The same work, which throws the signal's reason when it aborts. */
function* untilAborted<T>(work: Slices<T>, signal: AbortSignal): Slices<T> {
  for (;;) {
    signal.throwIfAborted();
    const step = work.next();
    if (step.done === true) return step.value;
    yield;
  }
}
