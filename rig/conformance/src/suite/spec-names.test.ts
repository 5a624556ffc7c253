import assert from "node:assert/strict";
import { test } from "node:test";
import { focusPattern, parseSpecNames, shortName } from "./spec-names.js";

const ALLOW = "[sig-network] Netpol between server and client should support allow-all policy [Feature:NetworkPolicy]";
const LISTING = `The following spec names can be used with 'ginkgo run --focus/skip':
    k8s.io/kubernetes@v1.34.4/test/e2e/network/netpol/network_policy.go:501: ${ALLOW}
    k8s.io/kubernetes@v1.34.4/test/e2e/network/x.go:7: [sig-network] X should work: even "so" (twice)

`;

test("the names of a listing keep their order", () => {
  assert.deepEqual(parseSpecNames(LISTING), [ALLOW, '[sig-network] X should work: even "so" (twice)']);
});

test("a short name has no tags", () => {
  assert.equal(shortName(ALLOW), "Netpol between server and client should support allow-all policy");
  assert.equal(
    shortName("[sig-network] Netpol [Feature:SCTPConnectivity] [LinuxOnly] client using SCTP"),
    "Netpol client using SCTP",
  );
});

test("a pattern matches its name alone", () => {
  for (const name of parseSpecNames(LISTING)) {
    const pattern = new RegExp(focusPattern(name));
    assert.match(`Kubernetes e2e suite ${name}`, pattern);
    assert.doesNotMatch(`Kubernetes e2e suite ${name} and more`, pattern);
  }
});
