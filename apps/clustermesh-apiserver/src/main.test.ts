/** The program as a process: exit codes and signals. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort, until } from "@isthmus/testing";
import { createMeshTls } from "./testing/mesh-tls.js";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

function start(...args: readonly string[]): { child: ChildProcess; stderr: () => string; exit: Promise<unknown[]> } {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr?.on("data", (data: Buffer) => {
    text += data.toString();
  });
  return { child, stderr: () => text, exit: once(child, "exit") };
}

test("wrong arguments print the usage to stderr and exit with 2", async () => {
  const { exit, stderr } = start("--nonsense");
  assert.deepEqual(await exit, [2, null]);
  assert.match(stderr(), /Cannot start: .*nonsense.*\n\nUsage: clustermesh-apiserver/s);
});

test("--version prints the version of the package", () => {
  const text = execFileSync(process.execPath, [MAIN, "--version"], { encoding: "utf8" });
  assert.match(text, /^clustermesh-apiserver \d+\.\d+\.\d+\n$/);
});

test("missing certificates print one sentence and exit with 1", async () => {
  const { exit, stderr } = start("--tls-dir", "/nowhere");
  assert.deepEqual(await exit, [1, null]);
  assert.match(stderr(), /Cannot use the certificates in \\"\/nowhere\\"/);
});

test("without a Kubernetes API the process is alive, not ready with a reason, and ends on SIGTERM with 0", async (t) => {
  const tls = await createMeshTls();
  t.after(() => tls.remove());
  const [dead, health, listen, admin] = (await Promise.all([freePort(), freePort(), freePort(), freePort()])) as [
    number,
    number,
    number,
    number,
  ];
  const kubeconfig = join(tls.folder, "kubeconfig");
  const name = "test";
  const config = {
    "current-context": name,
    contexts: [{ name, context: { cluster: name, user: name } }],
    clusters: [{ name, cluster: { server: `https://127.0.0.1:${dead}` } }],
    users: [{ name, user: { token: "t" } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  const at = (port: number) => `127.0.0.1:${port}`;
  const flags = ["--kubeconfig", kubeconfig, "--tls-dir", tls.folder, "--health", at(health)];
  const { child, exit, stderr } = start(...flags, "--listen", at(listen), "--admin", at(admin));
  t.after(() => child.kill("SIGKILL"));
  const get = (path: string) => fetch(`http://${at(health)}${path}`);
  await until(
    "alive",
    () =>
      get("/livez").then(
        ({ ok }) => ok,
        () => false,
      ),
    30_000,
  );
  const ready = async () => {
    const answer = await get("/readyz");
    return `${answer.status} ${await answer.text()}`;
  };
  await until("the reason in /readyz", async () =>
    /^503 fail {2}settings: Cannot GET .*ECONNREFUSED/.test(await ready()),
  );
  child.kill("SIGTERM");
  assert.deepEqual(await exit, [0, null], stderr());
});
