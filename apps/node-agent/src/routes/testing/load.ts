/** Starts `ping-pong.js` between two network namespaces and counts its answers. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "@isthmus/testing";

export interface Load {
  /** Resolves when the TCP connection and the UDP socket each got 20 more answers than at the call. */
  goesOn(what: string): Promise<void>;
}

/** `client` and `server`: paths of network namespaces. */
export async function startLoad(t: TestContext, client: string, server: string, address: string): Promise<Load> {
  const answers = { ready: 0, tcp: 0, udp: 0 };
  start(server, ["serve"]);
  await until("server of the load", () => answers.ready > 0);
  start(client, ["ask", address]);

  function start(netns: string, args: readonly string[]): void {
    const main = fileURLToPath(new URL("./ping-pong.js", import.meta.url));
    const child = spawn("nsenter", [`--net=${netns}`, process.execPath, main, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.after(() => end(child));
    createInterface({ input: child.stdout }).on("line", (line) => answers[line as keyof typeof answers]++);
  }

  return {
    async goesOn(what) {
      const { tcp, udp } = answers;
      await until(what, () => answers.tcp > tcp + 20 && answers.udp > udp + 20);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
