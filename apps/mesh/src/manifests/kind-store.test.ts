/** deploy/kind/store.sh with a real etcd, in a network namespace instead of the container. */
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { kubeBinary } from "@isthmus/kube/testing";
import { waitFor } from "@isthmus/runtime";
import { DEPLOY_BASE } from "../testing/member.js";

const KIND = join(DEPLOY_BASE, "../kind");
const OUTSIDE = "10.9.9.9";
const SET_UP = `ip link set lo up && ip addr add ${OUTSIDE}/32 dev lo && exec "$@"`;

test("the store listens on loopback until it has users, then on every address for clients with a certificate; it can be held and wiped", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "isthmus-store-"));
  const pki = join(dir, "store");
  assert.equal(spawnSync(process.execPath, [join(KIND, "pki.mjs"), "store", pki, OUTSIDE]).status, 0);
  const env = {
    ...process.env,
    PATH: `${dirname(kubeBinary("etcd"))}:${process.env["PATH"]}`,
    PKI: pki,
    DATA: join(dir, "data"),
    RUN: join(dir, "run"),
  };
  const script = join(KIND, "store.sh");
  const argv = ["--net", "--", "sh", "-c", SET_UP, "sh", script];
  const store = spawn("unshare", argv, { env, stdio: "ignore", detached: true });
  t.after(() => {
    process.kill(-(store.pid ?? 0), "SIGKILL");
    rmSync(dir, { recursive: true });
  });
  const etcdctl = async (address: string, ...args: string[]) => {
    const enter = ["-t", String(store.pid), "-n", kubeBinary("etcdctl"), "--command-timeout=2s"];
    const to = ["--endpoints", `https://${address}:2379`, "--cacert", join(pki, "ca.crt")];
    return (await promisify(execFile)("nsenter", [...enter, ...to, ...args])).stdout;
  };
  const owner = ["--cert", join(pki, "root.crt"), "--key", join(pki, "root.key")];
  const untilHealthy = (address: string) => {
    const ask = () =>
      etcdctl(address, ...owner, "endpoint", "health").then(
        () => true,
        () => false,
      );
    return waitFor(`the store to answer at ${address}`, ask, { timeoutMs: 60_000, everyMs: 100 });
  };

  writeFileSync(join(pki, "ready"), "");
  await untilHealthy("127.0.0.1");
  await assert.rejects(etcdctl(OUTSIDE, ...owner, "get", "x"), /refused/);
  await etcdctl("127.0.0.1", ...owner, "user", "add", "root", "--no-password");
  await etcdctl("127.0.0.1", ...owner, "user", "grant-role", "root", "root");
  await etcdctl("127.0.0.1", ...owner, "auth", "enable");

  const verb = (word: string) => promisify(execFile)(script, [word], { env });
  await verb("open");
  await untilHealthy(OUTSIDE);
  assert.equal((await etcdctl(OUTSIDE, ...owner, "user", "list")).trim(), "root");
  await assert.rejects(etcdctl(OUTSIDE, "get", "x"), /certificate required|bad certificate|deadline/);

  await etcdctl(OUTSIDE, ...owner, "put", "x", "kept");
  await verb("hold");
  // A listener that is being closed resets what it has accepted.
  await assert.rejects(etcdctl(OUTSIDE, ...owner, "get", "x"), /refused|reset by peer/);
  await verb("start");
  await untilHealthy(OUTSIDE);
  assert.match(await etcdctl(OUTSIDE, ...owner, "get", "x"), /kept/);

  await verb("wipe");
  await untilHealthy("127.0.0.1");
  assert.equal(await etcdctl("127.0.0.1", ...owner, "get", "x"), "");
  await assert.rejects(etcdctl(OUTSIDE, ...owner, "get", "x"), /refused|reset by peer/);
});
