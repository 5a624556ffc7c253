import assert from "node:assert/strict";
import { test } from "node:test";
import { createStatusTable, mapFull } from "@isthmus/reconcile";
import { type Apply, createApply } from "./apply.js";
import { checked, type Part } from "./part.js";

interface Rig {
  readonly apply: Apply<readonly string[]>;
  /** Phases and grace periods in the order in which they began. */
  readonly log: string[];
  /** Called at each of them with its entry of the log; may throw. */
  at: (entry: string) => void | Promise<void>;
  readonly statuses: ReadonlyMap<string, ReturnType<typeof createStatusTable>>;
  readonly reported: string[];
}

/**
 * Parts with these names. A part makes what `touch` names with its own first letter, one per slice, and each leaves
 * garbage.
 */
function rig(names: readonly string[], least = false): Rig {
  const log: string[] = [];
  const reported: string[] = [];
  const statuses = new Map(names.map((name) => [name, createStatusTable()]));
  const state: Rig = {
    apply: createApply({
      parts: names.map(part),
      gracePeriod: () => run("grace"),
      now: () => 1000,
      onRoom: () => void reported.push("room"),
      onError: () => void reported.push("error"),
      onBroken: () => void reported.push("broken"),
    }),
    log,
    at: () => undefined,
    statuses,
    reported,
  };

  async function run(entry: string): Promise<void> {
    log.push(entry);
    await state.at(entry);
  }

  function part(name: string): Part<readonly string[]> {
    const touched: string[] = [];
    let planned = "";
    let garbage = 0;
    const status = statuses.get(name) ?? createStatusTable();
    const needed = {
      status,
      touch: (all: readonly string[]) => void touched.push(...all.filter((each) => each.startsWith(name))),
      make: () => run(`make ${name} ${planned}`.trim()),
      fill: () => [{ map: name, used: touched.length, capacity: 9 }],
    };
    if (least) return needed;
    return {
      ...needed,
      retract: () => run(`retract ${name}`),
      async plan() {
        planned = touched.shift() ?? "";
        if (planned !== "") garbage++;
        await run(`plan ${name} ${planned}`.trim());
        return touched.length > 0;
      },
      break: () => run(`break ${name}`),
      takeGarbage() {
        if (garbage === 0) return undefined;
        garbage = 0;
        log.push(`take ${name}`);
        return {
          free() {
            log.push(`free ${name}`);
            void state.at(`free ${name}`);
          },
        };
      },
    };
  }

  return state;
}

test("parts are made in order, and retracted, broken and freed in reverse, after one grace period for all", async () => {
  const { apply, log } = rig(["a", "b", "c"]);
  apply.touch(["a1", "b1", "c1"]);
  await apply.apply();
  await apply.settled();
  assert.deepEqual(log, [
    ...["retract c", "retract b", "retract a"],
    ...["plan a a1", "make a a1", "plan b b1", "make b b1", "plan c c1", "make c c1"],
    ...["break c", "break b", "break a"],
    ...["take c", "take b", "take a", "grace", "free c", "free b", "free a"],
  ]);
});

test("each slice is made before the next one is planned, and all slices of a part before the next part", async () => {
  const { apply, log } = rig(["a", "b"]);
  apply.touch(["b1", "a1", "a2", "b2"]);
  await apply.apply();
  assert.deepEqual(
    log.filter((entry) => entry.startsWith("plan") || entry.startsWith("make")),
    ["a a1", "a a2", "b b1", "b b2"].flatMap((slice) => [`plan ${slice}`, `make ${slice}`]),
  );
});

test("a part needs no phase but make, and without garbage there is no grace period", async () => {
  const { apply, log } = rig(["a", "b"], true);
  await apply.apply();
  await apply.settled();
  assert.deepEqual(log, ["make a", "make b"]);
  assert.deepEqual(
    apply.fill().map(({ map }) => map),
    ["a", "b"],
  );
});

const PHASES = ["retract b", "plan a a1", "make a a1", "plan b b1", "make b b1", "break b", "break a"];

/** Lets the grace period that begins next last until the returned function is called. */
function holdGrace(state: Rig): () => void {
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  state.at = (entry) => (entry === "grace" ? over : undefined);
  return end;
}

for (const phase of PHASES) {
  test(`after ${phase} failed, no phase of any part begins, and nothing is freed`, async () => {
    const state = rig(["a", "b"]);
    const endGrace = holdGrace(state);
    state.apply.touch(["a0", "b0"]);
    await state.apply.apply(); // leaves garbage, whose grace period has begun
    state.apply.touch(["a1", "b1"]);
    state.at = (entry) => {
      if (entry === phase) throw new Error(phase);
    };
    await assert.rejects(state.apply.apply(), { message: phase });
    const written = [...state.log];
    assert.equal(written.at(-1), phase);
    endGrace();
    await assert.rejects(state.apply.settled(), { message: phase });
    await assert.rejects(state.apply.apply(), { message: phase });
    assert.deepEqual([state.log, state.reported], [written, []]);
  });
}

test("a round that fails while a part plans stops the apply before that part writes", async () => {
  const state = rig(["a", "b"]);
  const endGrace = holdGrace(state);
  state.apply.touch(["a0", "b0"]);
  await state.apply.apply();
  state.at = (entry) => {
    if (entry === "free b") throw new Error("half way");
    if (entry !== "plan a a1") return undefined;
    endGrace();
    return new Promise((resolve) => setImmediate(resolve));
  };
  state.apply.touch(["a1"]);
  await assert.rejects(state.apply.apply(), { message: "half way" });
  assert.deepEqual([state.log.at(-1), state.reported], ["free b", ["broken"]]);
  assert.ok(!state.log.includes("make a a1"));
});

test("a failed grace period frees nothing, and the next apply tries it again", async () => {
  const state = rig(["a"]);
  state.at = (entry) => {
    if (entry === "grace") throw new Error("refused");
  };
  state.apply.touch(["a1"]);
  await state.apply.apply();
  await assert.rejects(state.apply.settled(), { message: "refused" });
  assert.deepEqual(state.log.slice(-2), ["take a", "grace"]);
  assert.deepEqual(state.reported, ["error"]);
  state.at = () => undefined;
  await state.apply.apply();
  await state.apply.settled();
  assert.deepEqual(state.log.slice(-2), ["grace", "free a"]);
  assert.equal(state.log.filter((entry) => entry === "take a").length, 1);
});

test("the status is that of all parts, and what found no room is due again once something was freed", async () => {
  const { apply, statuses, reported } = rig(["a", "b"]);
  statuses.get("a")?.failed("a1", new Error("refused"), 0);
  statuses.get("b")?.failed("b1", mapFull("b", 9), 0);
  assert.deepEqual([...apply.status.errors.keys()], ["a1", "b1"]);
  assert.deepEqual(
    [apply.status.get("b1")?.state, apply.status.get("x"), apply.status.nextDue],
    ["Error", undefined, 200],
  );
  apply.touch(["a2"]);
  await apply.apply();
  await apply.settled();
  const due = (name: string) => statuses.get(name)?.nextDue;
  assert.deepEqual([due("a"), due("b"), reported], [200, 1000, ["room"]]);
});

test("work in slices ends with the error of its check, which runs whenever it goes on", () => {
  let stopped: Error | undefined;
  const done: number[] = [];
  const work = checked(
    (function* () {
      for (let i = 1; i <= 3; i++) {
        done.push(i);
        yield;
      }
      return "whole";
    })(),
    () => {
      if (stopped !== undefined) throw stopped;
    },
  );
  work.next();
  work.next();
  stopped = new Error("a round failed");
  assert.throws(() => work.next(), /a round failed/);
  assert.deepEqual(done, [1, 2]);
});
