import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DEPLOY_BASE } from "../testing/member.js";

const KIND = join(DEPLOY_BASE, "../kind");
const node = (script: string, args: readonly string[], input = "") =>
  spawnSync(process.execPath, [join(KIND, script), ...args], { encoding: "utf8", input });

test("the scripts are clean", () => {
  const scripts = ["env.sh", "up.sh", "demo.sh", "down.sh", "store.sh"];
  execFileSync("shellcheck", ["-x", ...scripts], { cwd: KIND, stdio: "pipe", encoding: "utf8" });
});

test("images stand on named, pinned bases: the Node that the tests run on, and the datapath's one compiler", () => {
  const repository = join(KIND, "../..");
  const text = (path: string) => readFileSync(join(repository, path), "utf8");
  const dockerfile = text("deploy/kind/Dockerfile");
  const defaults = new Map(
    [...dockerfile.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name = "", value = ""]) => [name, value]),
  );
  for (const [, base = ""] of dockerfile.matchAll(/^FROM (\S+)/gm)) {
    const name = /^\$\{(\w+)\}$/.exec(base)?.[1] ?? "";
    assert.ok(base === "scratch" || /:[\w.-]+$/.test(defaults.get(name) ?? ""), `FROM ${base} is no pinned argument`);
  }
  const tested = /^const VERSION = "(.+)";$/m.exec(text("tools/setup/node24.mjs"))?.[1];
  assert.deepEqual(
    ["NODE_IMAGE", "NODE_SLIM_IMAGE"].map((name) => /^node:([\d.]+)-/.exec(defaults.get(name) ?? "")?.[1]),
    [tested, tested],
  );
  const compiler = /^CLANG \?= (\S+)$/m.exec(text("bpf/Makefile"))?.[1] ?? "none";
  assert.ok(dockerfile.includes(` ${compiler} `), `the image does not build with ${compiler}`);
});

test("certificates fit together, keys are private, and a second run keeps them", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "isthmus-kind-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const make = () => {
    assert.equal(node("pki.mjs", ["store", join(dir, "store"), "172.18.255.250"]).status, 0);
    assert.equal(node("pki.mjs", ["cluster", join(dir, "east"), "n1=172.18.0.2"]).status, 0);
    return ["store/ca.crt", "store/root.crt", "east/ca.crt", "east/n1.crt"].map((file) =>
      readFileSync(join(dir, file), "utf8"),
    );
  };
  assert.deepEqual(make(), make());
  const verify = (ca: string, leaf: string, ...more: string[]) =>
    execFileSync("openssl", ["verify", "-CAfile", join(dir, ca), ...more, join(dir, leaf)], { stdio: "pipe" });
  verify("store/ca.crt", "store/server.crt", "-verify_ip", "172.18.255.250", "-purpose", "sslserver");
  verify("store/ca.crt", "store/root.crt", "-purpose", "sslclient");
  verify("east/ca.crt", "east/apiserver.crt", "-verify_ip", "172.18.0.2", "-purpose", "sslserver");
  verify("east/ca.crt", "east/n1.crt", "-purpose", "sslclient");
  assert.equal(statSync(join(dir, "store/ca.key")).mode & 0o777, 0o600);
});

test("the summary counts answers by cluster and losses by cause", () => {
  const log = [
    { start: { rate: 100 } },
    { responder: 0, name: "east/web-x" },
    { s: [[0, "o", 900, 0]] },
    { responder: 1, name: "west/web-y" },
    {
      s: [
        [1, "o", 900, 1],
        [2, "r", 100, -1],
        [3, "t", 1_000_000, -1],
      ],
    },
  ];
  const text = (lines: readonly object[]) => `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`;
  const bad = node("summary.mjs", [], text(log));
  assert.equal(bad.status, 1);
  assert.deepEqual(JSON.parse(bad.stdout), {
    sent: 4,
    answers: { east: 1, west: 1 },
    lost: { refused: 1, timeout: 1 },
  });
  assert.equal(
    node("summary.mjs", [], text(log.map((line) => ("s" in line ? { s: line.s?.slice(0, 1) } : line)))).status,
    0,
  );
});
