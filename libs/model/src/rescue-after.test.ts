import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRescueAfter, fromRescueFields, parseRescueAfter, toRescueFields } from "./rescue-after.js";

test("each kind of value is parsed, and written back as short as it can be", () => {
  for (const [text, value, short = text] of [
    ["auto", "auto"],
    ["off", "off"],
    ["250ms", 250],
    ["50ms", 50],
    ["10s", 10_000],
    ["10000ms", 10_000, "10s"],
    ["1.5s", 1500, "1500ms"],
    ["0.25s", 250, "250ms"],
    ["99.6ms", 100, "100ms"],
  ] as const) {
    assert.equal(parseRescueAfter(text), value, text);
    assert.equal(formatRescueAfter(value), short, text);
    assert.equal(parseRescueAfter(short), value, short);
    assert.equal(fromRescueFields(toRescueFields(value)), value, text);
  }
});

test("other texts, and durations out of bounds, are no values", () => {
  const refused = [
    "",
    "on",
    "Off",
    " off",
    "250",
    "250 ms",
    "-1s",
    "1m",
    "1e3ms",
    "0x40ms",
    "49ms",
    "10001ms",
    "11s",
    "0",
  ];
  for (const text of [...refused, `${"9".repeat(1000)}ms`]) assert.equal(parseRescueAfter(text), undefined, text);
});

test("fields of an older version mean auto; a duration out of bounds becomes the nearest one within", () => {
  assert.equal(fromRescueFields({ noRescue: false, rescueAfterMs: 0 }), "auto");
  assert.equal(fromRescueFields({ noRescue: true, rescueAfterMs: 250 }), "off");
  assert.equal(fromRescueFields({ noRescue: false, rescueAfterMs: 1 }), 50);
  assert.equal(fromRescueFields({ noRescue: false, rescueAfterMs: 0xffff_ffff }), 10_000);
});
