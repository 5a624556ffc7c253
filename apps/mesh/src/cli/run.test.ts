import assert from "node:assert/strict";
import { test } from "node:test";
import { golden } from "../testing/golden.js";
import { runForTest } from "../testing/memory-io.js";

test("help is an answer, no command at all is a usage error, and both say the same", async () => {
  const asked = await runForTest(["--help"]);
  assert.equal(asked.code, 0);
  golden("help", asked.out);
  const bare = await runForTest([]);
  assert.deepEqual(bare, { code: 2, out: "", err: asked.out });
});

test("every command explains itself with examples", async () => {
  for (const [name, ...words] of [["connect"], ["status"], ["service-list"], ["version"]] as const) {
    const path = name === undefined ? words : name.split("-");
    const help = await runForTest([...path, "--help"]);
    assert.equal(help.code, 0);
    golden(`help-${name}`, help.out);
  }
});

test("what cannot be used is named, with exit code 2", async () => {
  for (const [argv, sentence] of [
    [["frobnicate"], /Cannot run "mesh frobnicate": there is no such command; see mesh --help/],
    [["status", "--contxt", "a"], /Unknown option "--contxt"/],
    [["status", "extra"], /Cannot use "extra": mesh status takes no arguments/],
    [["status", "--timeout", "soon"], /Cannot use "soon" for --timeout/],
    [["status", "-o", "xml"], /Cannot write output as "xml": choose from table, json/],
    [["status", "--kubeconfig", "/nonexistent/config"], /Cannot find kubeconfig "\/nonexistent\/config"/],
    [["connect", "east"], /fewer than two clusters/],
    [["connect", "east", "east"], /fewer than two clusters/],
    [["connect", "east", "west"], /name its file with --store or MESH_STORE/],
  ] as const) {
    const ran = await runForTest(argv, { HOME: "/nonexistent" });
    assert.equal(ran.code, 2, argv.join(" "));
    assert.equal(ran.out, "");
    assert.match(ran.err, sentence);
    assert.equal(ran.err.trim().split("\n").length, 1);
  }
});

test("a noun without its verb lists its verbs", async () => {
  const ran = await runForTest(["service"]);
  assert.equal(ran.code, 2);
  assert.match(ran.err, /mesh service list/);
  assert.doesNotMatch(ran.err, /mesh connect /);
});

test("the version is an answer in text and JSON", async () => {
  assert.match((await runForTest(["--version"])).out, /^mesh \d+\.\d+\.\d+ /);
  assert.match((JSON.parse((await runForTest(["version", "-o", "json"])).out) as { version: string }).version, /^\d/);
});
