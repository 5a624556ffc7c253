/**
 * Two allocators over one API server, each with a view that lags: pods come and go, requests and answers get lost, processes
 * restart, and nobody prevents both from writing at once.
 *
 * Whatever happened, a number stood for one label set only, even when its object is long gone; and once all is quiet each set that
 * a pod has has one number, and every other number is gone after the quarantine.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseClusterId } from "@isthmus/model";
import fc from "fast-check";
import type { IdentityNumber } from "./number.js";
import { reserveNumbers } from "./number-cursor.js";
import {
  type AllocatedIdentity,
  type AllocationStep,
  numberInUse,
  planLabelSet,
  QUARANTINE_MS,
} from "./plan-label-set.js";

const CLUSTER = parseClusterId(1);
const SETS = 4;
/** What happens to a request: it never arrives, or its answer never does. */
type Outcome = "done" | "request lost" | "answer lost";

interface StoredObject extends AllocatedIdentity {
  readonly set: number;
  readonly version: number;
}
type LogEntry = { readonly put: StoredObject } | { readonly gone: number } | { readonly wanted: ReadonlySet<number> };

/** The API server, with every change in order. */
class Server {
  readonly objects = new Map<number, StoredObject>();
  readonly log: LogEntry[] = [];
  readonly given = new Map<number, number>();
  wanted: ReadonlySet<number> = new Set();
  cursor = { value: 0, version: 0 };
  version = 0;

  want(set: number, isWanted: boolean): void {
    this.wanted = new Set([...this.wanted].filter((one) => one !== set).concat(isWanted ? [set] : []));
    this.log.push({ wanted: this.wanted });
  }
  writeCursor(value: number, version: number): boolean {
    if (version !== this.cursor.version) return false;
    assert.ok(value > this.cursor.value, "the cursor only grows");
    this.cursor = { value, version: version + 1 };
    return true;
  }
  create(number: IdentityNumber, set: number): boolean {
    if (this.objects.has(number)) return false;
    assert.ok(!this.given.has(number), `${number} was given before, to set ${this.given.get(number)}`);
    this.given.set(number, set);
    this.put({ number, set, releasedAtMs: undefined, version: 0 });
    return true;
  }
  mark(number: number, version: number, releasedAtMs: number | undefined): void {
    const object = this.objects.get(number);
    if (object?.version === version) this.put({ ...object, releasedAtMs });
  }
  remove(number: number, version: number): void {
    if (this.objects.get(number)?.version !== version) return;
    this.objects.delete(number);
    this.log.push({ gone: number });
  }
  private put(object: StoredObject): void {
    const stored = { ...object, version: ++this.version };
    this.objects.set(object.number, stored);
    this.log.push({ put: stored });
  }
}

/** One instance: what it has read, the numbers that it reserved, and those that it asked for without an answer. */
class Instance {
  readonly server: Server;
  objects = new Map<number, StoredObject>();
  wanted: ReadonlySet<number> = new Set();
  read = 0;
  numbers: number[] = [];
  readonly asked = new Map<number, number>();

  constructor(server: Server) {
    this.server = server;
    this.objects = new Map(server.objects);
    this.wanted = server.wanted;
    this.read = server.log.length;
  }
  sync(events: number): void {
    for (const entry of this.server.log.slice(this.read, this.read + events)) {
      if ("put" in entry) this.objects.set(entry.put.number, entry.put);
      else if ("gone" in entry) this.objects.delete(entry.gone);
      else this.wanted = entry.wanted;
      this.read++;
    }
  }
  of(set: number): readonly StoredObject[] {
    return [...this.objects.values()].filter((object) => object.set === set);
  }
  act(set: number, nowMs: number, outcome: Outcome): boolean {
    const plan = planLabelSet({ isWanted: this.wanted.has(set), identities: this.of(set) }, nowMs);
    for (const step of plan.steps) this.perform(set, step, nowMs, outcome);
    return plan.steps.length > 0;
  }
  private perform(set: number, step: AllocationStep, nowMs: number, outcome: Outcome): void {
    if (step.type === "create") {
      this.create(set, outcome);
      return;
    }
    const version = this.objects.get(step.number)?.version ?? 0;
    if (outcome === "request lost") return;
    if (step.type === "delete") this.server.remove(step.number, version);
    else this.server.mark(step.number, version, step.type === "release" ? nowMs : undefined);
  }
  private create(set: number, outcome: Outcome): void {
    const number = this.asked.get(set) ?? this.take(outcome);
    if (number === undefined) return;
    this.asked.set(set, number);
    if (outcome === "request lost") return;
    // Refused: the name is taken, perhaps by a request whose answer was lost.
    const isRefused = !this.server.create(number as IdentityNumber, set);
    if (outcome === "done" || isRefused) this.asked.delete(set);
  }
  private take(outcome: Outcome): number | undefined {
    if (this.numbers.length > 0 || outcome === "request lost") return this.numbers.shift();
    const { value, version } = this.server.cursor;
    const highest = Math.max(0, ...this.objects.keys());
    const { first, last } = reserveNumbers(CLUSTER, { cursor: value, highest, count: 2 });
    if (!this.server.writeCursor(last, version) || outcome === "answer lost") return undefined;
    this.numbers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    return this.numbers.shift();
  }
}

const set = fc.nat(SETS - 1);
const who = fc.nat(1);
const command = fc.oneof(
  fc.record({ type: fc.constant("want" as const), set, isWanted: fc.boolean() }),
  fc.record({ type: fc.constant("sync" as const), who, events: fc.nat(4) }),
  fc.record({
    ...{ type: fc.constant("act" as const), who, set },
    outcome: fc.constantFrom<Outcome>("done", "done", "request lost", "answer lost"),
  }),
  fc.record({ type: fc.constant("restart" as const), who }),
  fc.record({ type: fc.constant("wait" as const), ms: fc.constantFrom(1, QUARANTINE_MS / 2, QUARANTINE_MS) }),
);

test("a number never stands for two label sets, and in the end each set in use has one", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
      const server = new Server();
      const instances = [new Instance(server), new Instance(server)];
      let nowMs = 1_000_000;
      for (const one of commands) {
        if (one.type === "want") server.want(one.set, one.isWanted);
        else if (one.type === "wait") nowMs += one.ms;
        else if (one.type === "restart") instances[one.who] = new Instance(server);
        else if (one.type === "sync") instances[one.who]?.sync(one.events);
        else instances[one.who]?.act(one.set, nowMs, one.outcome);
      }
      const settle = (): void => {
        for (let isBusy = true, rounds = 0; isBusy; rounds++) {
          assert.ok(rounds < 20, "it comes to rest");
          isBusy = false;
          for (const instance of instances)
            for (let each = 0; each < SETS; each++) {
              instance.sync(server.log.length);
              isBusy = instance.act(each, nowMs, "done") || isBusy;
            }
        }
      };
      settle();
      nowMs += QUARANTINE_MS;
      settle();
      for (let each = 0; each < SETS; each++) {
        const left = [...server.objects.values()].filter((object) => object.set === each);
        assert.equal(left.length, server.wanted.has(each) ? 1 : 0);
        assert.ok(left.every(({ releasedAtMs }) => releasedAtMs === undefined));
        if (left.length > 0) assert.equal(numberInUse(left), left[0]?.number);
      }
    }),
    { numRuns: 2000 },
  );
});
