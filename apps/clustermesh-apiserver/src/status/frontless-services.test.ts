import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { parsePrefix } from "@isthmus/model";
import { createLastGood } from "../cluster/last-good.js";
import { createOwnRecords } from "../cluster/own-records.js";
import { serviceFacts } from "../cluster/service-facts.js";
import { frontlessServices } from "./frontless-services.js";

function cluster(...objects: readonly (readonly [string, Record<string, string>, object])[]) {
  const records = createOwnRecords(createLastGood(), [parsePrefix("10.11.0.0/16")]);
  const sets = objects.map(([key, annotations, spec]) => {
    const [namespace, name] = key.split("/");
    const object = { metadata: { namespace, name, uid: key, annotations }, spec } as KubeObject;
    return { key, uid: key, version: 1n, value: serviceFacts(object) };
  });
  records.services({ deletes: [], sets });
  records.flush();
  return { get: records.service, all: records.allServices, onChange: () => () => undefined };
}

const GLOBAL = { "service.cilium.io/global": "true" };
const HEADLESS = { clusterIP: "None", clusterIPs: ["None"] };

const SERVICES = cluster(
  ["shop/headless", GLOBAL, HEADLESS],
  ["shop/name", { "service.cilium.io/shared": "false" }, { type: "ExternalName", externalName: "example.org" }],
  ["shop/plain", {}, HEADLESS],
  ["shop/cart", GLOBAL, { clusterIP: "10.96.0.7", clusterIPs: ["10.96.0.7"] }],
  ["pay/headless", GLOBAL, HEADLESS],
);

test("headless Services and ExternalNames with mesh annotations have a row that says why nothing comes of them", () => {
  const found = frontlessServices(SERVICES, { namespace: "", globalOnly: false });
  assert.deepEqual(
    found.map(({ service, status, global }) => [service, status, global]),
    [
      ["shop/headless", "No frontend", true],
      ["shop/name", "No frontend", false],
      ["pay/headless", "No frontend", true],
    ],
  );
  assert.match(found[0]?.notes.join() ?? "", /without a ClusterIP has no frontend/);
});

test("of one namespace, or only global ones", () => {
  const names = (namespace: string, globalOnly: boolean) =>
    frontlessServices(SERVICES, { namespace, globalOnly }).map(({ service }) => service);
  assert.deepEqual(names("pay", false), ["pay/headless"]);
  assert.deepEqual(names("shop", true), ["shop/headless"]);
});
