import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAddressOption, readOptions } from "./command-line.js";

test("readOptions returns given options by name and omits absent ones", () => {
  assert.deepEqual(
    { ...readOptions(["--listen", "1.2.3.4:5", "--tls-dir=/x"], ["listen", "tls-dir", "node"]) },
    {
      listen: "1.2.3.4:5",
      "tls-dir": "/x",
    },
  );
});

test("a flag takes no value", () => {
  const read = (...argv: readonly string[]) => ({ ...readOptions(argv, ["listen"], ["force"]) });
  assert.deepEqual(read("--force", "--listen", "x"), { force: true, listen: "x" });
  assert.deepEqual(read(), {});
  for (const argv of [["--force=yes"], ["--force", "yes"]])
    assert.throws(() => read(...argv), { code: "USAGE", message: /force|yes/ });
});

test("an unknown option and one without a value are usage errors that name it", () => {
  for (const argv of [["--bogus", "1"], ["--listen"], ["stray"]]) {
    assert.throws(() => readOptions(argv, ["listen"]), { code: "USAGE", message: new RegExp(argv[0] ?? "") });
  }
});

test("an address must have a port", () => {
  checkAddressOption("listen", "[::1]:7443");
  assert.throws(() => checkAddressOption("listen", "10.0.0.1"), {
    code: "USAGE",
    message: 'Cannot start: --listen is "10.0.0.1", write it like "10.0.0.1:7443"',
  });
});
