/** What an operator and a program read of a map's rows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MapColumnType, MapRows } from "@isthmus/proto";
import { jsonLine } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { notShownLines, rowJson, rowsTable } from "./row-text.js";

const [TEXT, NUMBER, LIST] = [
  MapColumnType.MAP_COLUMN_TYPE_TEXT,
  MapColumnType.MAP_COLUMN_TYPE_NUMBER,
  MapColumnType.MAP_COLUMN_TYPE_LIST,
];
const columns = [
  { name: "source", type: TEXT },
  { name: "source-port", type: NUMBER },
  { name: "source-pod", type: TEXT },
  { name: "destination", type: TEXT },
  { name: "destination-port", type: NUMBER },
  { name: "protocol", type: TEXT },
  { name: "state", type: TEXT },
  { name: "age-s", type: NUMBER },
  { name: "flags", type: LIST },
];
const PARTS = [
  MapRows.fromPartial({
    columns,
    rows: [
      { cells: ["10.1.0.1", "40000", "shop/cart-7d9f", "10.2.0.9", "80", "TCP", "established", "0", ""] },
      {
        cells: ["10.1.0.1", "40001", "shop/cart-7d9f", "fd00::9", "443", "TCP", "closing", "61", "via_stack,picked_up"],
      },
    ],
  }),
  MapRows.fromPartial({
    columns,
    rows: [
      {
        cells: [
          "10.2.0.9",
          "",
          "shop/evil\u001b[2J\u202e",
          "10.1.0.1",
          "18446744073709551615",
          "UDP",
          "unanswered",
          "3",
        ],
      },
    ],
    summary: { more: 1, busy: 2, invalid: 1, ended: 40 },
  }),
];

const SHOWN = { map: "conntrack", limit: 1000 };

test("rows as a table, with what is not shown", () => {
  const [, last] = PARTS;
  assert.ok(last?.summary);
  golden("bpf-rows", `${rowsTable(PARTS)}${notShownLines(last.summary, SHOWN).join("")}`);
});

test("rows as JSON, a document a line", () => {
  golden(
    "bpf-rows-json",
    PARTS.flatMap((part) => part.rows.map((row) => jsonLine({ row: rowJson(part.columns, row) }))).join(""),
  );
});

test("a map without rows is a line of its columns, and nothing is missing from it", () => {
  assert.equal(rowsTable([MapRows.fromPartial({ columns: columns.slice(0, 2) })]), "SOURCE  SOURCE-PORT\n");
  assert.deepEqual(notShownLines({ more: 0, busy: 0, invalid: 0, ended: 0 }, SHOWN), []);
});

test("who has the most rows that one command shows is not sent back to --limit", () => {
  const summary = { more: 5, busy: 0, invalid: 0, ended: 0 };
  const most = { limit: 100_000 };
  assert.deepEqual(notShownLines(summary, { ...most, map: "conntrack" }), [
    "5 rows more, above the 100000 that one command shows: narrow it by --from\n",
  ]);
  assert.deepEqual(notShownLines(summary, { ...most, map: "backends" }), [
    "5 rows more, above the 100000 that one command shows\n",
  ]);
});
