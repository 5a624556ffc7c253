import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceName } from "@isthmus/model";
import { MAX_ITEMS, MAX_SERVICE_SELECTORS, MAX_SERVICES, serviceQueries } from "@isthmus/policy";
import { createServiceIndex } from "./service-index.js";

const queries = (...toServices: readonly object[]) => serviceQueries({ spec: { egress: [{ toServices }] } });
const named = (serviceName: string, namespace = "") => ({ k8sService: { serviceName, namespace } });
const selected = (matchLabels: object, namespace = "") => ({
  k8sServiceSelector: { selector: { matchLabels }, namespace },
});

const label = (key: string, value: string) => ({ key, value });
function service(path: string, labels = [label("team", "shop")]) {
  const [namespace = "", name = ""] = path.split("/");
  return { namespace, name, labels, selector: [label("app", name)], addresses: [] as string[] };
}

test("Services are found by name and by labels, in one namespace or in all, each once and in order", () => {
  const index = createServiceIndex();
  for (const path of ["shop/web", "shop/db", "bank/db", "ops/db"]) index.setService(service(path));
  index.setService(service("bank/other", [label("team", "bank"), label("tier", "back")]));
  const find = (...elements: readonly object[]) =>
    index.find(queries(...elements)).map(({ namespace, name }) => `${namespace}/${name}`);
  assert.deepEqual(find(named("db", "shop")), ["shop/db"]);
  assert.deepEqual(find(named("db")), ["bank/db", "ops/db", "shop/db"]);
  assert.deepEqual(find(selected({ team: "shop" }, "shop")), ["shop/db", "shop/web"]);
  assert.deepEqual(find(selected({ team: "shop" }), named("db", "ops"), named("none", "ops"), named("other")), [
    "bank/db",
    "bank/other",
    "ops/db",
    "shop/db",
    "shop/web",
  ]);
  assert.deepEqual(find(), []);
  index.deleteService(serviceName("ops", "db"));
  assert.deepEqual(find(named("db", "ops")), []);
});

test("of its labels a Service has those that a selector of the policy asks for", () => {
  const index = createServiceIndex();
  index.setService(service("shop/db", [label("team", "shop"), label("version", "7")]));
  const labels = (...elements: readonly object[]) => index.find(queries(...elements))[0]?.labels;
  assert.deepEqual(labels(named("db")), []);
  assert.deepEqual(labels(named("db"), selected({ version: "8" })), [label("version", "7")]);
});

test("more than a policy may mean is cut, so that the parser can refuse it, and too many questions are not asked", () => {
  const index = createServiceIndex();
  for (let i = 0; i < MAX_SERVICES + 9; i++) index.setService(service(`shop/s${i}`));
  assert.equal(index.find(queries(selected({}))).length, MAX_SERVICES + 1);
  const addresses = Array.from({ length: MAX_ITEMS - 1 }, (_, i) => `192.${i >> 16}.${i >> 8}.${i & 255}`);
  for (const name of ["a", "b"]) index.setService({ ...service(`ops/${name}`), selector: [], addresses });
  const counts = index.find(queries(selected({}, "ops"))).map((one) => one.addresses.length);
  assert.deepEqual(counts, [MAX_ITEMS - 1, 2]);
  const names = Array.from({ length: MAX_SERVICES + 1 }, (_, i) => named(`s${i}`));
  assert.deepEqual(index.find(queries(...names)), []);
  const selectors = Array.from({ length: MAX_SERVICE_SELECTORS + 1 }, (_, i) => selected({ [`a${i}`]: "" }));
  assert.deepEqual(index.find(queries(named("s1"), ...selectors)), []);
});
