import assert from "node:assert/strict";
import { test } from "node:test";
import { FOCUSES, specsOf } from "./focuses.js";

test("NetworkPolicy is the feature and its API, without SCTP", () => {
  const [focus] = FOCUSES;
  assert.ok(focus !== undefined);
  const names = [
    "[sig-network] Netpol API should support creating NetworkPolicy API operations",
    "[sig-network] Netpol NetworkPolicy should support allow-all policy [Feature:NetworkPolicy]",
    "[sig-network] Netpol [Feature:SCTPConnectivity] [LinuxOnly] NetworkPolicy should allow [Feature:NetworkPolicy]",
    "[sig-network] Services should serve a basic endpoint from pods [Conformance]",
  ];
  assert.deepEqual(specsOf(focus, names), names.slice(0, 2));
});
