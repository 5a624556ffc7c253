import assert from "node:assert/strict";
import { test } from "node:test";
import { type Address, parseAddress, parsePrefix } from "@isthmus/model";
import { Service } from "@isthmus/proto";
import { SERVICE_KIND } from "@isthmus/records";
import { DEFAULT_ANNOTATIONS } from "./annotations.js";
import { serviceFacts } from "./service-facts.js";
import { serviceNotes } from "./service-notes.js";

const RECORD = SERVICE_KIND.record("services/shop/cart", Service.fromPartial({}));
const FACTS = serviceFacts({
  metadata: { name: "cart", namespace: "shop" },
  spec: { clusterIPs: ["10.96.0.10"], ports: [{ port: 80 }] },
} as never);

function sentences(kept: number, leftOut: readonly string[], podCidrs = ["10.11.0.0/16"]): readonly string[] {
  const addresses: Address[] = leftOut.map((text) => parseAddress(text));
  return serviceNotes({
    ...{ facts: FACTS, findings: [], inForce: DEFAULT_ANNOTATIONS },
    exported: [{ record: RECORD, kept, leftOut: addresses, tooLarge: undefined }],
    podCidrs: podCidrs.map((text) => parsePrefix(text)),
    tooLarge: undefined,
  }).map(({ sentence }) => sentence);
}

test("the note on an IPv6 backend names the family, not the host network, as the reason", () => {
  assert.deepEqual(sentences(2, ["fd00::1", "fd00::2"]), [
    'Cannot export 2 of its backends: "fd00::1" is an IPv6 address, and only IPv4 goes to other clusters yet. Other clusters use the IPv4 ones',
  ]);
  const [alone] = sentences(0, ["fd00::1"]);
  assert.match(alone ?? "", /^Cannot export its only backend: "fd00::1" is an IPv6 .*"spec.ipFamilyPolicy"/);
});

test("an address outside the pod ranges of its family has a separate note", () => {
  const [outside, family, ...more] = sentences(1, ["192.0.2.7", "fd00::1"]);
  assert.match(
    outside ?? "",
    /^Cannot export 1 of its backends: "192.0.2.7" is outside .*"10.11.0.0\/16", as pods on the/,
  );
  assert.match(family ?? "", /"fd00::1" is an IPv6 address/);
  assert.deepEqual(more, []);
  const [ranges] = sentences(1, ["fd00::1"], ["10.11.0.0/16", "fd11::/64"]);
  assert.match(ranges ?? "", /"fd00::1" is outside this cluster's pod ranges "10.11.0.0\/16", "fd11::\/64"/);
});
