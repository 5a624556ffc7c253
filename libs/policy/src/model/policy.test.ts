import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePolicyKey, policyKey } from "./policy.js";

test("the key of a policy says what it is of", () => {
  for (const name of [
    { kind: "NetworkPolicy", namespace: "shop", name: "web.v2" },
    { kind: "CiliumClusterwideNetworkPolicy", namespace: "", name: "wall" },
  ] as const)
    assert.deepEqual(parsePolicyKey(policyKey(name)), name);
});
