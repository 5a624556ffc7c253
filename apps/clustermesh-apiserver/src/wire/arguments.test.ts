import assert from "node:assert/strict";
import { test } from "node:test";
import { parseArguments } from "./arguments.js";

test("only --tls-dir has no default", () => {
  const { listen, admin, health, namespace, kubeconfig } = parseArguments(["--tls-dir", "/tls"]);
  assert.deepEqual(
    [listen, admin, health, namespace],
    ["0.0.0.0:7443", "0.0.0.0:7444", "127.0.0.1:9443", "mesh-system"],
  );
  assert.equal(kubeconfig, undefined);
});

test("metrics are served off the node only when --metrics-address is given", () => {
  assert.equal(parseArguments(["--tls-dir", "/tls"]).metricsAddress, undefined);
  const { metricsAddress } = parseArguments(["--tls-dir", "/tls", "--metrics-address", "[fd00::1]:9445"]);
  assert.equal(metricsAddress, "[fd00::1]:9445");
});

test("invalid arguments are refused with a sentence that says what to write", () => {
  for (const argv of [
    [],
    ["--tls-dir"],
    ["--tls-dir", "/tls", "--listen", "7443"],
    ["--tls-dir", "/tls", "--metrics-address", "9445"],
    ["--tls-dir", "/tls", "--nonsense"],
    ["--tls-dir", "/tls", "--peer-max-records", "0"],
    ["--tls-dir", "/tls", "--peer-max-bytes", "64Mi"],
    ["--tls-dir", "/tls", "--shutdown-delay-seconds", "10s"],
    ["--tls-dir", "/tls", "--shutdown-delay-seconds", "-1"],
    ["--tls-dir", "/tls", "--shutdown-delay-seconds", "3601"],
  ])
    assert.throws(() => parseArguments(argv), { code: "USAGE" }, argv.join(" "));
});

test("the peer budget has defaults, and options set it", () => {
  assert.deepEqual(parseArguments(["--tls-dir", "/tls"]).budget, { records: 250_000, bytes: 64 << 20 });
  const options = ["--tls-dir", "/tls", "--peer-max-records", "10", "--peer-max-bytes=4096"];
  assert.deepEqual(parseArguments(options).budget, { records: 10, bytes: 4096 });
});

test("the shutdown delay is 0 by default and bounded", () => {
  assert.equal(parseArguments(["--tls-dir", "/tls"]).shutdownDelayMs, 0);
  assert.equal(parseArguments(["--tls-dir", "/tls", "--shutdown-delay-seconds", "10"]).shutdownDelayMs, 10_000);
});
