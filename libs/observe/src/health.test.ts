import assert from "node:assert/strict";
import { test } from "node:test";
import { startHealth } from "./health.js";
import { splitHostPort } from "./http-listener.js";
import { createMetrics } from "./metrics.js";
import { startMetrics } from "./metrics-endpoint.js";

test("/livez reports the process, /readyz local dependencies, /metrics the metrics", async (t) => {
  let problem: string | undefined = "Cannot reach the Kubernetes API";
  let detail: string | undefined;
  const metrics = createMetrics();
  metrics.counter("mesh_x_total", "X").add();
  const health = await startHealth(
    { address: "127.0.0.1:0" },
    { metrics, ready: [{ name: "kubernetes", check: () => problem, detail: () => detail }] },
  );
  t.after(() => health.close());
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${health.port}${path}`);
    return [response.status, await response.text()];
  };
  assert.deepEqual(await get("/livez"), [200, "ok\n"]);
  assert.deepEqual(await get("/readyz"), [503, "fail  kubernetes: Cannot reach the Kubernetes API\n"]);
  problem = undefined;
  assert.deepEqual(await get("/readyz"), [200, "ok  kubernetes\n"]);
  detail = "It is one of two";
  assert.deepEqual(await get("/readyz"), [200, "ok  kubernetes: It is one of two\n"]);
  assert.match(String((await get("/metrics"))[1]), /mesh_x_total 1/);
  assert.equal((await get("/other"))[0], 404);
});

test("the metrics address serves nothing but metrics", async (t) => {
  const metrics = createMetrics();
  metrics.counter("mesh_x_total", "X").add();
  const listener = await startMetrics("127.0.0.1:0", metrics);
  t.after(() => listener.close());
  const get = (path: string, method = "GET") => fetch(`http://127.0.0.1:${listener.port}${path}`, { method });
  assert.match(await (await get("/metrics")).text(), /mesh_x_total 1/);
  for (const path of ["/livez", "/readyz", "/"]) assert.equal((await get(path)).status, 404, path);
  assert.equal((await get("/metrics", "POST")).status, 405);
});

test("a check that throws counts as failed and does not end the process", async (t) => {
  const check = () => {
    throw new TypeError("a bug");
  };
  const ready = [
    { name: "faulty", check },
    { name: "other", check: () => undefined },
  ];
  const health = await startHealth({ address: "127.0.0.1:0" }, { metrics: createMetrics(), ready });
  t.after(() => health.close());
  const response = await fetch(`http://127.0.0.1:${health.port}/readyz`);
  assert.deepEqual(
    [response.status, await response.text()],
    [503, "fail  faulty: Cannot run the check: a bug\nok  other\n"],
  );
});

test("a port in use is reported as such", async (t) => {
  const modules = { metrics: createMetrics(), ready: [] };
  const first = await startHealth({ address: "127.0.0.1:0" }, modules);
  t.after(() => first.close());
  await assert.rejects(startHealth({ address: `127.0.0.1:${first.port}` }, modules), { code: "ADDRESS_IN_USE" });
});

test("host and port are parsed for IPv4 and IPv6, anything else is refused", () => {
  assert.deepEqual(splitHostPort("127.0.0.1:80"), { host: "127.0.0.1", port: 80 });
  assert.deepEqual(splitHostPort("[::1]:443"), { host: "::1", port: 443 });
  for (const text of ["", "host", "host:", "host:70000", "::1:80"])
    assert.throws(() => splitHostPort(text), { code: "ADDRESS" }, text);
});
