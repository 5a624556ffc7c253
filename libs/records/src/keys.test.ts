import assert from "node:assert/strict";
import { test } from "node:test";
import { identityNumber } from "@isthmus/identity";
import { parseAddress, parseClusterId, serviceName } from "@isthmus/model";
import { Kind } from "@isthmus/proto";
import { parseKey } from "./keys.js";
import {
  endpointKey,
  identityKey,
  nodeConfigKey,
  nodeKey,
  policyRecordKey,
  serviceConfigKey,
  serviceKey,
  sliceKey,
} from "./kinds/index.js";
import { byApplyOrder, kindOfKey } from "./kinds.js";

const shop = serviceName("shop", "cart");

test("every key is parsed back to its parts", () => {
  const keys = [
    [identityKey(identityNumber(parseClusterId(1), 256)), Kind.KIND_IDENTITY],
    [nodeKey("east-1.example"), Kind.KIND_NODE],
    [endpointKey(parseAddress("10.1.2.3")), Kind.KIND_ENDPOINT],
    [endpointKey(parseAddress("fd00::1")), Kind.KIND_ENDPOINT],
    [serviceKey(shop), Kind.KIND_SERVICE],
    [sliceKey(shop, "cart-x7k2p"), Kind.KIND_SLICE],
    [serviceConfigKey(shop), Kind.KIND_SERVICE_CONFIG],
    [nodeConfigKey("east-1"), Kind.KIND_NODE_CONFIG],
    [policyRecordKey({ resource: "networkpolicies", namespace: "shop", name: "web.1" }), Kind.KIND_POLICY],
    [policyRecordKey({ resource: "networkpolicies", namespace: "", name: "web" }), Kind.KIND_POLICY],
  ] as const;
  for (const [key, kind] of keys) {
    assert.equal(parseKey(key)?.kind, kind, key);
    assert.equal(kindOfKey(key), kind, key);
  }
});

test("a policy is named by its key, with and without a namespace", () => {
  for (const namespace of ["shop", ""]) {
    const policy = { resource: "networkpolicies", namespace, name: "web" };
    assert.deepEqual(parseKey(policyRecordKey(policy)), { kind: Kind.KIND_POLICY, policy });
  }
});

test("a key that differs from its canonical text is rejected", () => {
  for (const key of [
    "",
    "head",
    "nodes",
    "nodes/",
    "nodes/a/b",
    "nodes/A",
    "identities/01048832",
    "identities/x",
    "endpoints/010.1.2.3",
    "endpoints/FD00::1",
    "endpoints/::ffff:10.1.2.3",
    "services/cart",
    "services/shop/cart/",
    "slices/shop/cart",
    "slices/shop/cart/x/y",
    "slices/shop/../x",
    "services/-/cart",
    "slices/shop/-/x",
    "policies/a",
    "policies/networkpolicies/web",
    "policies/-/shop/web",
    "policies/networkpolicies/shop/-",
    "policies/networkpolicies/--/web",
  ])
    assert.equal(parseKey(key), undefined, key);
});

test("kinds are sorted by apply order: identity, node, endpoint, service, slice", () => {
  const keys = ["slices/a/b/c", "services/a/b", "endpoints/10.0.0.1", "nodes/n", "identities/1048832"];
  const sorted = keys.map((key) => ({ key, kind: kindOfKey(key) ?? Kind.KIND_UNSPECIFIED })).sort(byApplyOrder);
  assert.deepEqual(
    sorted.map(({ key }) => key),
    [...keys].reverse(),
  );
});
