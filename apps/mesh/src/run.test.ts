import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { golden } from "./testing/golden.js";
import { runForTest } from "./testing/memory-io.js";

test("--help prints the help on stdout; no command is a usage error that prints the same help on stderr", async () => {
  const asked = await runForTest(["--help"]);
  assert.equal(asked.code, 0);
  golden("help", asked.out);
  const bare = await runForTest([]);
  assert.deepEqual(bare, { code: 2, out: "", err: asked.out });
});

test("the help of every command has examples", async () => {
  for (const [name, ...words] of [
    ["connect"],
    ["status"],
    ["service-list"],
    ["service-explain"],
    ["policy-list"],
    ["policy-explain"],
    ["policy-diff"],
    ["identity-list"],
    ["monitor"],
    ["bpf-dump"],
    ["bpf-conntrack"],
    ["version"],
  ] as const) {
    const path = name === undefined ? words : name.split("-");
    const help = await runForTest([...path, "--help"]);
    assert.equal(help.code, 0);
    golden(`help-${name}`, help.out);
  }
});

test("an invalid argument is named in the error, with exit code 2", async () => {
  for (const [argv, sentence] of [
    [["frobnicate"], /Cannot run "mesh frobnicate": there is no such command; see mesh --help/],
    [["status", "--contxt", "a"], /Unknown option "--contxt"/],
    [["status", "extra"], /Cannot use "extra": mesh status takes no arguments/],
    [["status", "--timeout", "soon"], /Cannot use "soon" for --timeout/],
    [["status", "--timeout", "1000h"], /Cannot use "1000h" for --timeout: write a duration from 1ms to 24h/],
    [["status", "--timeout", "0s"], /Cannot use "0s" for --timeout: write a duration from 1ms to 24h/],
    [["status", "-o", "xml"], /Cannot write output as "xml": choose from table, json/],
    [["status", "--kubeconfig", "/nonexistent/config"], /Cannot find kubeconfig "\/nonexistent\/config"/],
    [
      ["monitor", "--from", "cart-0"],
      /Cannot use "cart-0" for --from without its namespace: write NAMESPACE\/cart-0, or add -n/,
    ],
    [["monitor", "--from", "shop/Cart_0"], /Cannot use "Cart_0" as a pod in --from: it is no name/],
    [["monitor", "--from", "a/b/c"], /Cannot use "a\/b\/c" for --from: write NAMESPACE\/POD/],
    [
      ["monitor", "--from", "a/b", "-n", "c"],
      /Cannot use --from "a\/b" with --namespace "c": they name two namespaces/,
    ],
    [["monitor", "-n", "c"], /Cannot use --namespace without --from/],
    [["monitor", "--for", "soon"], /Cannot use "soon" for --for/],
    [
      ["bpf", "dump", "--node", "w1"],
      /^Cannot tell which map to show: name one of services, frontends, .*, policy-ports$/m,
    ],
    [["bpf", "dump", "servces", "--node", "w1"], /^Cannot show map "servces": choose from services, frontends, .*$/m],
    [["bpf", "dump", "conntrack"], /flows have a command of their own, mesh bpf conntrack; maps are services/],
    [["bpf", "dump", "nodes", "floors"], /Cannot show "floors" too: name one map/],
    [["bpf", "dump", "nodes"], /Cannot tell which node to ask: use --node/],
    [
      ["bpf", "dump", "nodes", "--node", "w1", "--limit", "0"],
      /Cannot use "0" for --limit: write a number from 1 to 100000/,
    ],
    [["bpf", "dump", "nodes", "--node", "w1", "--limit", "1e3"], /Cannot use "1e3" for --limit/],
    [["bpf", "conntrack", "w1"], /Cannot use "w1": mesh bpf conntrack takes no arguments/],
    [["bpf", "conntrack", "--node", "w1", "-n", "shop"], /Cannot use --namespace without --from/],
    [["bpf", "conntrack", "--node", "w1", "--from", "cart"], /Cannot use "cart" for --from without its namespace/],
    [["bpf", "conntrack", "--from", "10.1.0.1", "-n", "shop"], /Cannot use --namespace with --from "10.1.0.1"/],
    [["policy", "diff"], /Cannot compare without a change: name manifests with -f, or policies with --delete/],
    [
      ["policy", "diff", "-n", "a", "-f", "/nonexistent.yaml"],
      /Cannot use "\/nonexistent\.yaml": there is no such file/,
    ],
    [["policy", "diff", "-n", "a", "-f", "/"], /Cannot use "\/": it is a folder; name the files in it/],
    [["policy", "diff", "-n", "a", "--delete", "web"], /Cannot use "web" for --delete: write KIND\/NAMESPACE\/NAME/],
    [["connect", "east"], /fewer than two clusters/],
    [["connect", "east", "east"], /Cannot connect "east" with itself: name each context once/],
    [["connect", "east", "west", "east"], /Cannot connect "east" with itself/],
    [["connect", "east", "west"], /name its file with --store or MESH_STORE/],
    [["connect", "east", "west", "--store", ""], /name its file with --store or MESH_STORE/],
    [
      ["service", "list", "--context", "east", "--context", "west"],
      /Cannot use --context more than once: it takes one/,
    ],
    [["status", "--timeout", "1s", "--timeout=2s"], /Cannot use --timeout more than once: it takes one DURATION/],
    [["status", "-o", "json", "--output", "table"], /Cannot use --output more than once/],
  ] as const) {
    const ran = await runForTest(argv, { HOME: "/nonexistent", MESH_STORE: "" });
    assert.equal(ran.code, 2, argv.join(" "));
    assert.equal(ran.out, (argv as readonly string[]).includes("json") ? ran.out : "");
    assert.match(ran.err, sentence);
    assert.equal(ran.err.trim().split("\n").length, 1);
  }
});

test("a noun without a verb lists its verbs", async () => {
  const ran = await runForTest(["service"]);
  assert.equal(ran.code, 2);
  assert.match(ran.err, /mesh service list/);
  assert.doesNotMatch(ran.err, /mesh connect /);
});

test("version prints text and JSON on stdout", async () => {
  assert.match((await runForTest(["--version"])).out, /^mesh \d+\.\d+\.\d+ /);
  assert.match((JSON.parse((await runForTest(["version", "-o", "json"])).out) as { version: string }).version, /^\d/);
});

test("an invalid KUBECONFIG is named in the error with the reason", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-kubeconfig-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  for (const [path, why] of [
    [file("braces", "{}"), /it holds no context; use --kubeconfig or set KUBECONFIG$/],
    [file("empty", ""), /it holds no context; use --kubeconfig or set KUBECONFIG$/],
    [file("foreign", "apiVersion: v1\nkind: Pod\n"), /it holds no context/],
    [file("nulls", "contexts: null\n"), /it holds no context/],
    [folder, /it is a folder; name the file in it$/],
    [
      file("list", "- a\n- b\n"),
      /it is not a kubeconfig, which is YAML with the lists "clusters", "contexts" and "users"$/,
    ],
    [file("text", "just words"), /it is not a kubeconfig/],
    [file("number", "7"), /it is not a kubeconfig/],
    [file("contexts", "contexts: {a: b}"), /it is not a kubeconfig/],
    [file("broken", "a: [b"), /it is neither YAML nor JSON \(.+\)$/],
  ] as const) {
    const ran = await runForTest(["status"], { KUBECONFIG: path });
    assert.equal(ran.code, 2, path);
    assert.match(ran.err.trim(), why);
    assert.ok(ran.err.startsWith(`Cannot use kubeconfig "${path}": `), ran.err);
    assert.equal(ran.err.trim().split("\n").length, 1);
  }
});
