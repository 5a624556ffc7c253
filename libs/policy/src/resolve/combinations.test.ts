import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptedPolicy, localNumber } from "../testing/node.js";
import { createCombinations } from "./combinations.js";
import { compilePolicy } from "./compiled-policy.js";
import { NO_PORT_NAMES } from "./named-ports.js";
import { createPeerRegistry } from "./peer-registry.js";

test("a set that nothing uses any more is not kept up to date", () => {
  const registry = createPeerRegistry();
  const combinations = createCombinations(registry);
  const ingress = [{ from: [{ podSelector: { matchLabels: { app: "web" } } }] }];
  const policy = acceptedPolicy({ metadata: { namespace: "shop", name: "p" }, spec: { podSelector: {}, ingress } });
  const { specs } = compilePolicy(policy, registry, () => 1);
  const [one, same] = [combinations.acquire(specs, NO_PORT_NAMES), combinations.acquire(specs, NO_PORT_NAMES)];
  assert.equal(one, same);
  const changedSets = (number: number): number => {
    const labels = new Map([
      ["app", "web"],
      ["io.kubernetes.pod.namespace", "shop"],
      ["io.cilium.k8s.policy.cluster", "east"],
    ]);
    registry.setIdentity(localNumber(number), { labels });
    return combinations.update(registry.settle()).size;
  };
  assert.equal(changedSets(256), 0, "the set is built");
  assert.equal(changedSets(257), 1);
  combinations.release(one);
  assert.equal(changedSets(258), 1);
  combinations.release(same);
  assert.equal(changedSets(259), 0);
  assert.equal(one.set?.rows.size, 3);
});
