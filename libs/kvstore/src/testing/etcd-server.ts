/**
 * A real etcd on loopback for tests, with its own folder, ports and (for mTLS) CA; `close` removes everything.
 *
 * `wipe` stops it, empties it and starts it at the same address, like a store that lost its data. `keep` and `setBack`
 * are a backup and its restore.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MeshError } from "@isthmus/model";
import { type Authority, createAuthority, issue } from "@isthmus/pki";
import { waitWithin } from "@isthmus/runtime";
import { freePort } from "@isthmus/testing";
import { createStore, type Store } from "../store.js";
import type { StoreOptions } from "../transport.js";
import { findEtcd } from "./find-etcd.js";

export interface EtcdServer {
  readonly port: number;
  /** The store's CA; undefined when the server runs without TLS. */
  readonly authority: Authority | undefined;
  readonly pid: number;
  /** Options for a client with `user`'s certificate; `port`: of a proxy, when the client does not connect directly. */
  options(user: string, port?: number): Promise<StoreOptions>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** `prepare` runs on the empty store before it is reachable at its address. */
  wipe(prepare?: (owner: Store) => Promise<void>): Promise<void>;
  /** Makes a backup of the data, with a stop and a start. */
  backUp(): Promise<void>;
  /** Restores the backup: the same store id and users, and an earlier revision. */
  restoreBackup(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  close(): Promise<void>;
}

export interface EtcdServerOptions {
  readonly tls?: boolean;
  readonly flags?: readonly string[];
}

export async function startEtcd({ tls = false, flags = [] }: EtcdServerOptions = {}): Promise<EtcdServer> {
  const binary = findEtcd();
  const dir = await mkdtemp(join(tmpdir(), "isthmus-etcd-"));
  const port = await freePort();
  const authority = tls ? await writeServerCertificate(dir) : undefined;
  const scheme = tls ? "https" : "http";
  let child: ChildProcess | undefined;
  let starts = 0;

  const options = async (user: string, at = port): Promise<StoreOptions> => {
    const endpoints = [`${scheme}://localhost:${at}`];
    if (authority === undefined) return { endpoints };
    const { certificate, key } = await issue(authority, { cn: user, usages: ["client"] });
    return { endpoints, ca: authority.certificate, certificate, key };
  };
  const launch = async (listen: number): Promise<void> => {
    const log = openSync(join(dir, "etcd.log"), "a");
    const peer = await freePort();
    const urls = (of: number): string => `${scheme}://127.0.0.1:${of}`;
    child = spawn(
      binary,
      [
        ["--name", "test", "--data-dir", join(dir, "data"), "--log-level", "warn", "--unsafe-no-fsync"],
        ["--listen-client-urls", urls(listen), "--advertise-client-urls", urls(listen)],
        ["--listen-peer-urls", `http://127.0.0.1:${peer}`, "--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
        ["--initial-cluster", `test=http://127.0.0.1:${peer}`, "--enable-grpc-gateway=false"],
        tls ? tlsFlags(dir) : [],
        flags,
      ].flat(),
      { stdio: ["ignore", log, log] },
    );
    closeSync(log);
    starts++;
    await ready(child, await options("root", listen), join(dir, "etcd.log"));
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const over = once(running, "exit");
    running.kill("SIGKILL");
    await over;
  };
  const kill = (): void => {
    child?.kill("SIGKILL");
  };
  process.once("exit", kill);
  await launch(port);
  return {
    port,
    authority,
    get pid() {
      return child?.pid ?? 0;
    },
    options,
    stop,
    start: () => launch(port),
    async wipe(prepare) {
      await stop();
      await rm(join(dir, "data"), { recursive: true, force: true });
      if (prepare !== undefined) {
        const hidden = await freePort();
        await launch(hidden);
        const owner = createStore(await options("root", hidden));
        await prepare(owner).finally(() => owner.close());
        await stop();
      }
      await launch(port);
    },
    async backUp() {
      await stop();
      await rm(join(dir, "kept"), { recursive: true, force: true });
      await cp(join(dir, "data"), join(dir, "kept"), { recursive: true });
      await launch(port);
    },
    async restoreBackup() {
      await stop();
      await rm(join(dir, "data"), { recursive: true, force: true });
      await cp(join(dir, "kept"), join(dir, "data"), { recursive: true });
      await launch(port);
    },
    signal: (name) => {
      child?.kill(name);
    },
    async close() {
      process.removeListener("exit", kill);
      child?.kill("SIGCONT");
      await stop();
      await rm(dir, { recursive: true, force: true });
      if (starts === 0) throw new Error("etcd was never started");
    },
  };
}

function tlsFlags(dir: string): string[] {
  const file = (name: string): string => join(dir, name);
  return ["--client-cert-auth", "--trusted-ca-file", file("ca.crt")].concat([
    "--cert-file",
    file("server.crt"),
    "--key-file",
    file("server.key"),
  ]);
}

async function writeServerCertificate(dir: string): Promise<Authority> {
  const authority = await createAuthority("isthmus-test-store");
  const server = await issue(authority, {
    cn: "test-etcd",
    sans: ["localhost", "127.0.0.1"],
    usages: ["server", "client"],
  });
  await writeFile(join(dir, "ca.crt"), authority.certificate);
  await writeFile(join(dir, "server.crt"), server.certificate);
  await writeFile(join(dir, "server.key"), server.key, { mode: 0o600 });
  return authority;
}

/** Resolves once a quorum read is answered; a refusal counts as an answer. */
async function ready(child: ChildProcess, options: StoreOptions, log: string): Promise<void> {
  const store = createStore({ ...options, deadlineMs: 1000 });
  async function look(): Promise<"ready" | "ended" | false> {
    const answers = await store.get("/").then(
      () => true,
      (error: { code: string }) => error.code !== "STORE_UNAVAILABLE" && error.code !== "STORE_TIMEOUT",
    );
    return answers ? "ready" : child.exitCode !== null && "ended";
  }
  try {
    if ((await waitWithin(look, { timeoutMs: 20_000, everyMs: 20 })) !== "ready") throw await startError(log);
  } finally {
    store.close();
  }
}

async function startError(log: string): Promise<MeshError> {
  const end = (await readFile(log, "utf8")).split("\n").slice(-6).join("\n");
  return new MeshError({ code: "ETCD_START", log }, `Cannot start etcd for a test: its log ends with ${end}`);
}
