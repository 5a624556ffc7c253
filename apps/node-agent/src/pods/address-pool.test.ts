import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, parseAddress, parsePrefix } from "@isthmus/model";
import fc from "fast-check";
import { fromNumber, nextAddress, nextHealthAddress, podCidrOf, poolSize, toNumber } from "./address-pool.js";

const all = (cidr: string): string[] => {
  const used = new Set<number>();
  const given: string[] = [];
  for (let last = 0; ; ) {
    const next = nextAddress(parsePrefix(cidr), used, last);
    if (next === undefined) return given;
    used.add(next);
    given.push(formatAddress(fromNumber(next)));
    last = next;
  }
};

test("every address of a CIDR is assigned once, but never the first and the last", () => {
  assert.deepEqual(all("10.0.0.8/29"), ["10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"]);
  assert.deepEqual(all("10.0.0.8/31"), ["10.0.0.8", "10.0.0.9"]);
  assert.deepEqual(all("10.0.0.8/32"), ["10.0.0.8"]);
  assert.equal(all("192.168.255.0/24").length, poolSize(parsePrefix("192.168.255.0/24")));
});

test("the search for a free address starts after the last assigned one and wraps around at the end", () => {
  const cidr = parsePrefix("10.0.0.0/29");
  const base = toNumber(cidr.address);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 6 })), fc.integer({ min: -3, max: 12 }), (used, after) => {
      const next = nextAddress(cidr, new Set(used.map((host) => base + host)), base + after);
      if (used.length === 6) return next === undefined;
      const turn = Array.from({ length: 6 }, (_, i) => (after >= 1 && after <= 6 ? (after + i) % 6 : i) + 1);
      return next === base + (turn.find((host) => !used.includes(host)) ?? 0);
    }),
  );
});

test("the health address is the highest free one, and none is taken from a CIDR of one or two addresses", () => {
  const health = (cidr: string, ...used: readonly string[]) => {
    const found = nextHealthAddress(parsePrefix(cidr), new Set(used.map((text) => toNumber(parseAddress(text)))));
    return found === undefined ? undefined : formatAddress(fromNumber(found));
  };
  assert.equal(health("10.0.0.0/24"), "10.0.0.254");
  assert.equal(health("10.0.0.0/24", "10.0.0.254", "10.0.0.252"), "10.0.0.253");
  assert.equal(health("10.0.0.8/29", "10.0.0.14", "10.0.0.13", "10.0.0.12", "10.0.0.11", "10.0.0.10"), "10.0.0.9");
  assert.equal(health("10.0.0.8/29", ...all("10.0.0.8/29")), undefined);
  for (const small of ["10.0.0.8/30", "10.0.0.8/31", "10.0.0.8/32"]) assert.equal(health(small), undefined);
});

test("pods get addresses from the node's first IPv4 CIDR", () => {
  assert.equal(podCidrOf([parsePrefix("fd00::/64")]), undefined);
  assert.deepEqual(podCidrOf(["fd00::/64", "10.1.0.0/24"].map(parsePrefix)), parsePrefix("10.1.0.0/24"));
});
