import assert from "node:assert/strict";
import { test } from "node:test";
import { isV4, parseAddress } from "@isthmus/model";
import fc from "fast-check";
import { addressWords, compareWords, isV4Words, wordsAddress } from "./address-words.js";

const address = fc.oneof(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.ipV4().map(parseAddress));

test("words keep the address, its order and its family", () => {
  fc.assert(
    fc.property(address, address, fc.nat(16), (a, other, same) => {
      const b = Uint8Array.from([...a.subarray(0, same), ...other.subarray(same)]);
      assert.deepEqual(wordsAddress(addressWords(a)), Uint8Array.from(a));
      assert.equal(Math.sign(compareWords(addressWords(a), addressWords(b))), Buffer.compare(a, b));
      assert.equal(isV4Words(addressWords(a)), isV4(a));
    }),
  );
});
