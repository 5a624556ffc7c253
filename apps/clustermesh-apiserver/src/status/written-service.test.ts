import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { formatAddress, parsePrefix, serviceName } from "@isthmus/model";
import { Affinity } from "@isthmus/proto";
import { serviceFacts } from "../cluster/services/service-facts.js";
import { createTestRecords } from "../cluster/testing/test-records.js";
import { writtenService } from "./written-service.js";

const WEB = serviceName("shop", "web");

function services(annotations: Record<string, string>, spec: object, labels: Record<string, string> = {}) {
  const records = createTestRecords([parsePrefix("10.11.0.0/16")]);
  const object = { metadata: { namespace: "shop", name: "web", uid: "u", annotations, labels }, spec } as KubeObject;
  const sets = [{ key: WEB, uid: "u", version: 1n, value: serviceFacts(object) }];
  records.takeServices({ deletes: [], sets });
  records.takeChanges();
  return { get: records.service };
}

const SPEC = { clusterIP: "10.96.0.7", clusterIPs: ["10.96.0.7"], ports: [{ name: "http", port: 80 }] };

test("a Service has its annotations as written, the values in force, and what is not served as written", () => {
  const annotations = { "service.cilium.io/global": "true", "service.cilium.io/affinity": "sideways\u001b[2J" };
  const written = writtenService(services(annotations, SPEC), WEB);
  assert.deepEqual([written?.global, written?.affinity, written?.left], [true, Affinity.AFFINITY_NONE, false]);
  assert.deepEqual(written?.addresses.map(formatAddress), ["10.96.0.7"]);
  assert.deepEqual(written?.ports, [{ name: "http", protocol: 6, port: 80 }]);
  assert.deepEqual(
    written?.annotations.map(({ value }) => value),
    ["sideways\\u{1b}[2J", "true"],
  );
  assert.match(written?.notes.join() ?? "", /sideways/);
});

test("one that is left to another proxy names that; one that there is not is undefined", () => {
  const left = writtenService(services({}, SPEC, { "service.kubernetes.io/service-proxy-name": "p" }), WEB);
  assert.deepEqual([left?.left, left?.otherProxy], [true, "p"]);
  assert.equal(writtenService(services({}, SPEC), serviceName("shop", "api")), undefined);
});
