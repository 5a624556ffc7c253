import assert from "node:assert/strict";
import { test } from "node:test";
import { parseArguments } from "./arguments.js";

test("only the folder of certificates has no default", () => {
  const { listen, admin, health, namespace, kubeconfig } = parseArguments(["--tls-dir", "/tls"]);
  assert.deepEqual(
    [listen, admin, health, namespace],
    ["0.0.0.0:7443", "0.0.0.0:7444", "127.0.0.1:9443", "mesh-system"],
  );
  assert.equal(kubeconfig, undefined);
});

test("what cannot be meant is refused with what to write", () => {
  for (const argv of [
    [],
    ["--tls-dir"],
    ["--tls-dir", "/tls", "--listen", "7443"],
    ["--tls-dir", "/tls", "--nonsense"],
  ])
    assert.throws(() => parseArguments(argv), { code: "USAGE" }, argv.join(" "));
});
