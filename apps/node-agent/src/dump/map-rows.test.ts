/** Parts of a map's rows: the limit, what is counted, and other work meanwhile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MapRows } from "@isthmus/proto";
import { type MapTable, PART_ROWS, type RowSteps, readParts } from "./map-rows.js";

const SIGNAL = new AbortController().signal;

function numbers(count: number): MapTable & { decoded: number } {
  const table = {
    decoded: 0,
    columns: [
      ["n", "number"],
      ["bits", "list"],
    ] as const,
    *steps(): RowSteps {
      for (let n = 0; n < count; n++) {
        if (n % 64 === 0) yield undefined;
        yield () => {
          table.decoded++;
          return [n, ["a", "b"]];
        };
      }
    },
  };
  return table;
}

async function readAll(table: MapTable, limit: number): Promise<readonly MapRows[]> {
  const parts = readParts(table, limit);
  const all: MapRows[] = [];
  do all.push(await parts.next(SIGNAL));
  while (all.at(-1)?.summary === undefined);
  return all;
}

test("rows come in parts, the last with a summary; above the limit they are counted and not decoded", async () => {
  const table = numbers(PART_ROWS * 2 + 50);
  const all = await readAll(table, PART_ROWS + 10);
  assert.deepEqual(
    all.map(({ rows }) => rows.length),
    [PART_ROWS, 10],
  );
  assert.deepEqual(all[0]?.rows[3]?.cells, ["3", "a,b"]);
  assert.deepEqual(all[1]?.summary, { more: PART_ROWS + 40, busy: 0, invalid: 0, ended: 0 });
  assert.deepEqual([all[0]?.summary, table.decoded], [undefined, PART_ROWS + 10]);
});

test("an empty map is one part", async () => {
  const all = await readAll(numbers(0), 5);
  assert.deepEqual(
    all.map(({ rows, summary, columns }) => [rows.length, summary?.more, columns.length]),
    [[0, 0, 2]],
  );
});

test("other work runs while 500,000 rows are read", async () => {
  let [turns, over] = [0, false];
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const began = performance.now();
  const all = await readAll(numbers(500_000), 1);
  over = true;
  assert.equal(all.at(-1)?.summary?.more, 499_999);
  // Turns of 2 ms; each may be longer by a pause of the machine.
  assert.ok(turns >= 5, `${turns} turns in ${performance.now() - began} ms`);
});

test("an aborted read ends between two steps", async () => {
  const life = new AbortController();
  const endless: MapTable = {
    columns: [],
    *steps(): RowSteps {
      for (;;) yield undefined;
    },
  };
  const reading = readParts(endless, 1).next(life.signal);
  setImmediate(() => life.abort(new Error("cancelled")));
  await assert.rejects(reading, /cancelled/);
});
