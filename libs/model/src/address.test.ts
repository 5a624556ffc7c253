import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressFromBytes, formatAddress, isV4, isV4Multicast, parseAddress } from "./address.js";
import { MeshError } from "./errors.js";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("an IPv4 text becomes its v4-mapped 16 bytes", () => {
  assert.equal(hex(parseAddress("10.1.2.3")), "00000000000000000000ffff0a010203");
  assert.equal(isV4(parseAddress("10.1.2.3")), true);
});

test("IPv4 addresses of groups of hosts", () => {
  const are = ["223.255.255.255", "224.0.0.1", "255.255.255.255", "ff02::1"].map((text) =>
    isV4Multicast(parseAddress(text)),
  );
  assert.deepEqual(are, [false, true, true, false]);
});

test("IPv6 texts in every form become the same bytes", () => {
  const want = "fd000000000000000000000000000001";
  for (const text of ["fd00::1", "fd00:0:0:0:0:0:0:1", "FD00::0:1", "fd00::0.0.0.1"])
    assert.equal(hex(parseAddress(text)), want);
  assert.equal(hex(parseAddress("::")), "0".repeat(32));
  assert.equal(hex(parseAddress("::ffff:10.1.2.3")), hex(parseAddress("10.1.2.3")));
});

test("a text that is not an address is refused, and the error quotes it", () => {
  for (const text of ["", "10.1.2", "10.1.2.256", "fe80::1%eth0", "1:2:3", "localhost"]) {
    assert.throws(
      () => parseAddress(text),
      (error) => error instanceof MeshError && error.message.includes(`"${text}"`),
    );
  }
});

test("an address in a record has 4 or 16 bytes", () => {
  assert.equal(formatAddress(addressFromBytes(Uint8Array.of(10, 0, 0, 1))), "10.0.0.1");
  assert.throws(() => addressFromBytes(new Uint8Array(5)), { code: "ADDRESS" });
});

test("any address survives format and parse", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      assert.equal(hex(parseAddress(formatAddress(bytes))), hex(bytes));
    }),
  );
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(formatAddress(parseAddress(text)), text)));
});
