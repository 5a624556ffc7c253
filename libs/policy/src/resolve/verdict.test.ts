import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { localNumber } from "../testing/node.js";
import { allowsLess } from "./allows-less.js";
import { portPrefixes } from "./class-rows.js";
import { lookUp } from "./look-up.js";
import { createPeerRow, createPolicySet } from "./policy-set.js";
import type { Outcome, PortRule } from "./port-rules.js";
import { allPorts, mergePortRules, type PeerVerdict } from "./verdict.js";

const port = fc.oneof(fc.integer({ min: 0, max: 65535 }), fc.constantFrom(0, 1, 79, 80, 81, 1023, 1024, 65534, 65535));

const rule: fc.Arbitrary<PortRule> = fc.oneof(
  fc
    .record({
      allow: fc.boolean(),
      protocol: fc.constantFrom(6, 17),
      ends: fc.tuple(port, port),
      rule: fc.integer({ min: 1, max: 5 }),
    })
    .map(({ ends: [a, b], ...rest }) => ({ ...rest, first: Math.min(a, b), last: Math.max(a, b) })),
  fc.record({
    allow: fc.boolean(),
    first: fc.constant(0),
    last: fc.constant(65535),
    rule: fc.integer({ min: 1, max: 5 }),
  }),
);

const rules = fc.array(rule, { maxLength: 6 });
const otherwise = fc.boolean().map((allow): Outcome => ({ allow, rule: 0 }));

/** Deny beats allow; nothing else matters. */
function allowed(all: readonly PortRule[], protocol: number, at: number, fallback: boolean): boolean {
  const its = all.filter((one) => (one.protocol ?? protocol) === protocol && one.first <= at && at <= one.last);
  return its.length === 0 ? fallback : its.every(({ allow }) => allow);
}

function lookUpIn(verdict: PeerVerdict, protocol: number, at: number): Outcome {
  const set = createPolicySet(createPeerRow(verdict, allPorts({ allow: false, rule: 0 })));
  return lookUp(set, { direction: "ingress", identity: localNumber(256), protocol, port: at });
}

/** Where something may begin or end, and around it. */
function edges(all: readonly PortRule[]): readonly number[] {
  return [0, 65535, ...all.flatMap(({ first, last }) => [first - 1, first, last, last + 1])].filter(
    (at) => at >= 0 && at <= 65535,
  );
}

test("a merged verdict allows what no rule denies and some rule allows, and names one that decided", () => {
  fc.assert(
    fc.property(rules, otherwise, (all, fallback) => {
      const verdict = mergePortRules(all, fallback);
      for (const protocol of [6, 17, 1]) {
        for (const at of edges(all)) {
          const outcome = lookUpIn(verdict, protocol, at);
          assert.equal(outcome.allow, allowed(all, protocol, at, fallback.allow));
          const applying = all.filter(
            (one) => (one.protocol ?? protocol) === protocol && one.first <= at && at <= one.last,
          );
          const isNamed = applying.some((one) => one.rule === outcome.rule && one.allow === outcome.allow);
          assert.ok(applying.length === 0 ? outcome.rule === 0 : isNamed);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("the verdict does not depend on the order of rules", () => {
  const shuffled = rules.chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
  );
  fc.assert(
    fc.property(shuffled, otherwise, ([all, other], fallback) => {
      assert.equal(mergePortRules(all, fallback).key, mergePortRules(other, fallback).key);
    }),
  );
});

test("equal keys are equal rows, and what is the same for all ports is no class", () => {
  fc.assert(
    fc.property(rules, rules, otherwise, (a, b, fallback) => {
      const [one, other] = [mergePortRules(a, fallback), mergePortRules(b, fallback)];
      const rowsOf = (verdict: PeerVerdict) => (verdict.ports === "class" ? verdict.class.rows : verdict.outcome);
      if (one.key === other.key) assert.deepEqual(rowsOf(one), rowsOf(other));
      else assert.notDeepEqual(rowsOf(one), rowsOf(other));
    }),
  );
});

test("a port that a wider rule allows splits nothing, whatever the numbers of the rules", () => {
  const denied = { allow: false, rule: 0 };
  const http = { allow: true, protocol: 6, first: 80, last: 80, rule: 3 };
  assert.deepEqual(
    mergePortRules([http, { allow: true, first: 0, last: 65535, rule: 7 }], denied),
    allPorts({ allow: true, rule: 7 }),
  );
  const tcp = { allow: true, protocol: 6, first: 0, last: 65535, rule: 7 };
  assert.equal(mergePortRules([http, tcp], denied).key, mergePortRules([tcp], denied).key);
});

test("allowsLess is true exactly when some port is lost", () => {
  fc.assert(
    fc.property(rules, rules, otherwise, otherwise, (a, b, fallbackA, fallbackB) => {
      const isLost = [6, 17, 1].some((protocol) =>
        edges([...a, ...b]).some(
          (at) => allowed(a, protocol, at, fallbackA.allow) && !allowed(b, protocol, at, fallbackB.allow),
        ),
      );
      assert.equal(allowsLess(mergePortRules(a, fallbackA), mergePortRules(b, fallbackB)), isLost);
    }),
    { numRuns: 500 },
  );
});

test("a range of ports is the fewest prefixes", () => {
  assert.deepEqual(portPrefixes(0, 65535), [{ port: 0, bits: 0 }]);
  assert.deepEqual(portPrefixes(80, 80), [{ port: 80, bits: 16 }]);
  assert.deepEqual(
    portPrefixes(1024, 65535).map(({ bits }) => bits),
    [6, 5, 4, 3, 2, 1],
  );
  assert.equal(portPrefixes(1, 65534).length, 30);
  fc.assert(
    fc.property(port, port, (a, b) => {
      let next = Math.min(a, b);
      for (const { port: first, bits } of portPrefixes(Math.min(a, b), Math.max(a, b))) {
        assert.equal(first, next);
        assert.equal(first % 2 ** (16 - bits), 0);
        next += 2 ** (16 - bits);
      }
      assert.equal(next, Math.max(a, b) + 1);
    }),
  );
});
