import assert from "node:assert/strict";
import { test } from "node:test";
import { TierWord } from "@isthmus/bpf";
import { MAX_SLOTS } from "@isthmus/loadbalancer";
import fc from "fast-check";
import { tierWord } from "./service-store.js";

test("a tier word equals that of the codec", () => {
  const upTo = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(upTo(2 ** 28 - 1), upTo(MAX_SLOTS), upTo(7), upTo(4095), (line, slots, tries, cluster) => {
      const word = tierWord({ line, ids: { length: slots } as readonly number[] }, tries, cluster);
      assert.equal(word, TierWord.toWord({ line, slots, tries, maglev: 0, cluster }));
    }),
  );
});
