import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_CLUSTER_ID, parseClusterId } from "@isthmus/model";
import fc from "fast-check";
import {
  formatIdentity,
  identityCluster,
  identityLocal,
  identityNumber,
  isIdentityOf,
  MAX_LOCAL,
  MIN_LOCAL,
  nodeLocalIdentity,
  parseIdentity,
  unmanagedIdentity,
} from "./number.js";
import { RESERVED, reservedIdentity, reservedLabel } from "./reserved.js";

const cluster = fc.integer({ min: 1, max: MAX_CLUSTER_ID }).map(parseClusterId);
const local = fc.integer({ min: MIN_LOCAL, max: MAX_LOCAL });

test("a number is unsigned and converts to its parts and its text and back", () => {
  fc.assert(
    fc.property(cluster, local, (c, n) => {
      const identity = identityNumber(c, n);
      assert.ok(identity > 0 && identity <= 0xffff_ffff);
      assert.equal(identityCluster(identity), c);
      assert.equal(identityLocal(identity), n);
      assert.equal(parseIdentity(formatIdentity(identity)), identity);
      assert.ok(isIdentityOf(identity, c));
    }),
  );
});

test("two different pairs never share a number", () => {
  fc.assert(
    fc.property(cluster, local, cluster, local, (c1, n1, c2, n2) => {
      assert.equal(identityNumber(c1, n1) === identityNumber(c2, n2), c1 === c2 && n1 === n2);
    }),
  );
});

test("numbers of the highest cluster id are positive", () => {
  assert.equal(identityNumber(parseClusterId(4094), 256), 4292870400);
});

test("local numbers outside their range are refused", () => {
  for (const n of [0, 255, MAX_LOCAL + 1, 1.5]) assert.throws(() => identityNumber(parseClusterId(1), n));
});

test("texts that are not identity numbers are refused", () => {
  for (const text of ["", "0", "01", "256", "+1", "1e3", "1048576", "4294967296", "99999999999", "-1"])
    assert.throws(() => parseIdentity(text), text);
});

test("reserved identities have Cilium's numbers and belong to no cluster", () => {
  assert.deepEqual(Object.values(RESERVED), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.equal(reservedLabel(reservedIdentity("world")), "reserved:world");
  assert.equal(reservedLabel(300), undefined);
  assert.equal(parseIdentity("7"), RESERVED["kube-apiserver"]);
  assert.ok(!isIdentityOf(RESERVED.world, parseClusterId(1)));
});

test("node-local numbers and those of unmanaged addresses belong to no cluster", () => {
  assert.equal(nodeLocalIdentity(256), 4095 * 2 ** 20 + 256);
  assert.equal(unmanagedIdentity(parseClusterId(4094)), 4094 * 2 ** 20 + 3);
  for (const number of [nodeLocalIdentity(256), unmanagedIdentity(parseClusterId(7))])
    assert.ok(!isIdentityOf(number, parseClusterId(7)));
  assert.throws(() => nodeLocalIdentity(255));
});
