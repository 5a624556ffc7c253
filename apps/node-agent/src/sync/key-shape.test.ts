import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, serviceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import {
  endpointKey,
  identityKey,
  KINDS,
  kindOfKey,
  nodeConfigKey,
  nodeKey,
  parseKey,
  policyRecordKey,
  serviceConfigKey,
  serviceKey,
  sliceKey,
} from "@isthmus/records";
import { hasKeyOf } from "./key-shape.js";

const NAME = serviceName("shop", "cart");

test("every key that publishers write fits its kind and no other; an invalid key fits none", () => {
  const identity = parseKey("identities/1048832");
  assert.ok(identity?.kind === Kind.KIND_IDENTITY);
  const keys = [
    identityKey(identity.identity),
    nodeKey("n1"),
    endpointKey(parseAddress("fd00::1")),
    serviceKey(NAME),
    sliceKey(NAME, "cart-x7k2p"),
    serviceConfigKey(NAME),
    nodeConfigKey("n1"),
    policyRecordKey({ resource: "networkpolicies", namespace: "", name: "web" }),
  ];
  assert.equal(new Set(keys.map(kindOfKey)).size, KINDS.length);
  for (const key of keys) for (const kind of KINDS) assert.equal(hasKeyOf(kind, key), kindOfKey(key) === kind, key);
  for (const bad of ["", "/", "services", "services/", "services/a", "services/a/", "services//b", "services/a/b/c"]) {
    assert.equal(hasKeyOf(Kind.KIND_SERVICE, bad), false, bad);
  }
  for (const bad of ["nodes/", "nodes/a/b", "nodes//a", "/nodes/a"])
    assert.equal(hasKeyOf(Kind.KIND_NODE, bad), false, bad);
  assert.equal(hasKeyOf(99 as Kind, "rockets/r1"), false);
});
