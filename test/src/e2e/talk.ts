/** A conversation over one connected socket, in a network namespace that the caller names. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export interface Talk {
  /** Sends a text and returns `OUTCOME ANSWER`; `gone` when the socket could not be connected or its program ended. */
  say(text: string): Promise<string>;
  close(): Promise<void>;
}

/** `network`: path of the namespace. `probe`: the program of `compileProbe()`. The control group is that of this process, not a pod's. */
export function startTalk(network: string, probe: string, protocol: "tcp" | "udp", target: string): Talk {
  const argv = [`--net=${network}`, probe, "talk", protocol, target];
  const child = spawn("nsenter", argv, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  child.stdin.on("error", () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async say(text) {
      child.stdin.write(`${text}\n`);
      const next = await lines.next();
      return next.done === true ? "gone" : next.value;
    },
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
