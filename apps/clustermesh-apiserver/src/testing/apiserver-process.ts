/** The apiserver as a separate process: for tests that suspend it (SIGSTOP), and where it must not share the event loop of the caller. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { KubeServer } from "@isthmus/kube/testing";
import { freePort, until } from "@isthmus/testing";
import type { MeshTls } from "./mesh-tls.js";

export interface ApiserverProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly adminPort: number;
  /** Log lines so far. */
  readonly lines: readonly string[];
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  /** Sends SIGTERM and waits until the process ended. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL("../main.js", import.meta.url));

/** Resolves when the apiserver is ready. `more`: further options and their values. */
export async function spawnApiserver(
  server: Pick<KubeServer, "kubeconfig">,
  tls: Pick<MeshTls, "folder">,
  instance: string,
  more: Readonly<Record<string, string>> = {},
): Promise<ApiserverProcess> {
  const port = await freePort();
  const adminPort = await freePort();
  const healthPort = await freePort();
  const args = {
    kubeconfig: server.kubeconfig,
    instance,
    listen: `127.0.0.1:${port}`,
    admin: `127.0.0.1:${adminPort}`,
    health: `127.0.0.1:${healthPort}`,
    "tls-dir": tls.folder,
    ...more,
  };
  const argv = Object.entries(args).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => void lines.push(line));
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${healthPort}${path}`);
    return { status: response.status, body: await response.text() };
  };
  await until(
    `${instance} is ready`,
    () => {
      if (child.exitCode !== null) throw new Error(`The apiserver ended: ${lines.join("\n")}`);
      return get("/readyz").then(
        ({ status }) => status === 200,
        () => false,
      );
    },
    30_000,
  );
  return {
    child,
    port,
    adminPort,
    lines,
    get,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      child.kill("SIGCONT");
      await ended;
    },
  };
}
