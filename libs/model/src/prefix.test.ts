import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "./address.js";
import { formatPrefix, parsePrefix, prefixContains, prefixesOverlap } from "./prefix.js";

test("prefix lengths count from the start of the 16 bytes", () => {
  assert.equal(parsePrefix("10.11.0.0/16").length, 112);
  assert.equal(parsePrefix("fd00::/48").length, 48);
  for (const text of ["10.11.0.0/16", "0.0.0.0/0", "10.1.2.3/32", "fd00::/48", "::/0"]) {
    assert.equal(formatPrefix(parsePrefix(text)), text);
  }
});

test("host bits, excessive lengths and other text are refused", () => {
  for (const text of ["10.11.0.1/16", "10.0.0.0/33", "fd00::1/64", "10.0.0.0", "x/8", "10.0.0.0/-1"]) {
    assert.throws(() => parsePrefix(text), { code: /PREFIX|ADDRESS/ }, text);
  }
});

test("prefixContains compares only the bits of the prefix", () => {
  const prefix = parsePrefix("10.11.128.0/17");
  assert.equal(prefixContains(prefix, parseAddress("10.11.255.1")), true);
  assert.equal(prefixContains(prefix, parseAddress("10.11.127.255")), false);
  assert.equal(prefixContains(parsePrefix("0.0.0.0/0"), parseAddress("fd00::1")), false);
});

test("prefixes overlap when either contains the other", () => {
  const overlap = (a: string, b: string) => prefixesOverlap(parsePrefix(a), parsePrefix(b));
  assert.equal(overlap("10.0.0.0/8", "10.11.0.0/16"), true);
  assert.equal(overlap("10.11.0.0/16", "10.0.0.0/8"), true);
  assert.equal(overlap("10.11.0.0/16", "10.12.0.0/16"), false);
});
