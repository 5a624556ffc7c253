import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DEPLOY_BASE } from "../testing/member.js";

const KIND = join(DEPLOY_BASE, "../kind");
const node = (script: string, args: readonly string[]) =>
  spawnSync(process.execPath, [join(KIND, script), ...args], { encoding: "utf8" });

test("shellcheck has no findings in the scripts", () => {
  const scripts = readdirSync(KIND).filter((name) => name.endsWith(".sh"));
  assert.ok(scripts.includes("up.sh"));
  execFileSync("shellcheck", ["-x", ...scripts], { cwd: KIND, stdio: "pipe", encoding: "utf8" });
});

test("no script pipes into grep -q, which makes the writer fail with SIGPIPE", () => {
  // `grep -q` exits at its first match; the writer then gets SIGPIPE, and with pipefail the pipeline fails despite the match.
  const listening = readdirSync(KIND).filter((name) => /\| *grep -\w*q/.test(readFileSync(join(KIND, name), "utf8")));
  assert.deepEqual(listening, []);
});

test("images have named, pinned bases: the Node that the tests run on, and the one compiler of the datapath", () => {
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

test("certificates match, keys are private; a second run keeps them, except for a server whose address changed", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "isthmus-kind-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const make = (store = "172.18.255.250", node1 = "172.18.0.2") => {
    assert.equal(node("pki.mjs", ["store", join(dir, "store"), store]).status, 0);
    assert.equal(node("pki.mjs", ["cluster", join(dir, "east"), `n1=${node1}`]).status, 0);
    const kept = ["store/ca.crt", "store/root.crt", "east/ca.crt", "east/n1.crt"];
    const servers = ["store/server.crt", "east/apiserver.crt"];
    const [all, addressed] = [kept, servers].map((files) => files.map((file) => readFileSync(join(dir, file), "utf8")));
    return { kept: all, servers: addressed };
  };
  const first = make("172.18.0.9", "172.18.0.3");
  assert.deepEqual(make("172.18.0.9", "172.18.0.3"), first);
  const moved = make();
  assert.deepEqual(moved.kept, first.kept);
  assert.notEqual(moved.servers?.[0], first.servers?.[0]);
  assert.notEqual(moved.servers?.[1], first.servers?.[1]);
  const verify = (ca: string, leaf: string, ...more: string[]) =>
    execFileSync("openssl", ["verify", "-CAfile", join(dir, ca), ...more, join(dir, leaf)], { stdio: "pipe" });
  verify("store/ca.crt", "store/server.crt", "-verify_ip", "172.18.255.250", "-purpose", "sslserver");
  verify("store/ca.crt", "store/root.crt", "-purpose", "sslclient");
  verify("east/ca.crt", "east/apiserver.crt", "-verify_ip", "172.18.0.2", "-purpose", "sslserver");
  verify("east/ca.crt", "east/n1.crt", "-purpose", "sslclient");
  assert.equal(statSync(join(dir, "store/ca.key")).mode & 0o777, 0o600);
});
