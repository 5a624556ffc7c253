import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPrefix, type Prefix, parseAddress, parsePrefix, prefixContains } from "@isthmus/model";
import fc from "fast-check";
import { createPrefixIndex } from "./prefix-index.js";

const TEXTS = [
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.2.0/25",
  "10.1.2.3/32",
  "::/0",
  "fd00::/16",
  "fd00::1/128",
];
const prefixes = fc.constantFrom(...TEXTS).map(parsePrefix);
const addresses = fc.constantFrom("10.1.2.3", "10.1.2.4", "10.9.9.9", "192.0.2.1", "fd00::1", "2001:db8::1");

test("the longest prefix is that of a search through all, after any changes", () => {
  const change = fc.tuple(prefixes, fc.boolean());
  fc.assert(
    fc.property(
      fc.array(change),
      addresses.map(parseAddress),
      fc.integer({ min: 0, max: 128 }),
      (changes, address, most) => {
        const index = createPrefixIndex<string>();
        const there = new Map<string, Prefix>();
        for (const [prefix, isSet] of changes) {
          if (isSet) index.set(prefix, formatPrefix(prefix));
          else index.delete(prefix);
          if (isSet) there.set(formatPrefix(prefix), prefix);
          else there.delete(formatPrefix(prefix));
        }
        const [longest] = [...there.values()]
          .filter((prefix) => prefix.length <= most && prefixContains(prefix, address))
          .sort((a, b) => b.length - a.length);
        assert.equal(index.longest(address, most), longest && formatPrefix(longest));
      },
    ),
  );
});

test("bits beyond the length of a prefix count for nothing", () => {
  const index = createPrefixIndex<string>();
  index.set({ address: parseAddress("10.1.2.3"), length: 112 }, "x");
  assert.equal(index.longest(parseAddress("10.1.9.9")), "x");
  index.delete(parsePrefix("10.1.0.0/16"));
  assert.equal(index.longest(parseAddress("10.1.9.9")), undefined);
});
