import assert from "node:assert/strict";
import { test } from "node:test";
import { PRINTABLE_LENGTH, printable, printableJson } from "./printable.js";

test("printable text in any script is unchanged", () => {
  for (const text of ["", "shop/cart", 'Cannot use "x": 3 > 2', "ключ", "鍵", "🔑"])
    assert.equal(printable(text), text);
});

test("control characters, line ends, direction marks and separators become code points", () => {
  assert.equal(printable("a\x1b[2Jb"), "a\\u{1b}[2Jb");
  assert.equal(printable("a\nb\r\tc\x7f\x9b"), "a\\u{a}b\\u{d}\\u{9}c\\u{7f}\\u{9b}");
  assert.equal(printable("x\u202ey\u2066z\u2028\u2029\u200b"), "x\\u{202e}y\\u{2066}z\\u{2028}\\u{2029}\\u{200b}");
  assert.equal(printable("a\ud800b"), "a\\u{d800}b");
});

test("long text is cut to the limit and marked, never inside a surrogate pair", () => {
  assert.equal(printable("x".repeat(33_000)), `${"x".repeat(PRINTABLE_LENGTH - 1)}…`);
  assert.equal(printable("abcdef", 4), "abc…");
  assert.equal(printable("abcd", 4), "abcd");
  assert.equal(printable("ab🔑cd", 4), "ab…");
  assert.equal(printable("\x1b".repeat(100), 20), "\\u{1b}\\u{1b}\\u{1b}\\…");
});

test("applying printable twice changes nothing", () => {
  for (const text of ["a\x1bb", "x".repeat(1_000), "\x00".repeat(300)]) {
    assert.equal(printable(printable(text)), printable(text));
  }
});

test("JSON keeps its meaning and has no control characters", () => {
  const value = { text: "a\x1b[2J\x7f\x9b\u202e\u2028\u{e0001}b\ud800", "\u2066": [1] };
  const text = printableJson(JSON.stringify(value, null, 2));
  assert.deepEqual(JSON.parse(text), value);
  assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
});
