/** Which Service a frontend is of, as Services change. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, serviceName, TCP, UDP } from "@isthmus/model";
import { makePlan } from "../datapath/testing/testbed.js";
import { makeServiceNames } from "./testing/service-names.js";

const VIP = parseAddress("10.96.0.10");

test("a Service is found by address, port and protocol, not by other ports of its address", () => {
  const { services } = makeServiceNames();
  assert.deepEqual(services.byFrontend(VIP, 80, TCP), { namespace: "shop", name: "web" });
  assert.deepEqual([services.byFrontend(VIP, 81, TCP), services.byFrontend(VIP, 80, UDP)], [undefined, undefined]);
  assert.equal(services.byFrontend(VIP, 0, 0), undefined, "the row that refuses them is of no Service");
  assert.equal(services.byFrontend(parseAddress("10.96.0.11"), 80, TCP), undefined);
});

test("a frontend that another Service has by now is that one's, and one that is gone has no name", () => {
  const { desired, services } = makeServiceNames();
  const [web, api] = [serviceName("shop", "web"), serviceName("shop", "api.v2")];
  desired.setService(web, []);
  assert.equal(services.byFrontend(VIP, 80, TCP), undefined);
  desired.setService(api, [makePlan(api, "10.96.0.10", [])]);
  assert.deepEqual(services.byFrontend(VIP, 80, TCP), { namespace: "shop", name: "api.v2" });
});

test("an address that is left to another proxy has no name", () => {
  const { desired, services } = makeServiceNames();
  desired.setService(serviceName("shop", "web"), []);
  desired.setOtherProxy(serviceName("shop", "web"), [VIP]);
  assert.equal(services.byFrontend(VIP, 80, TCP), undefined);
});
