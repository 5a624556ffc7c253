/** Connects to ports ten times a second and records how long all of them refused. */
import { connect } from "node:net";
import type { Address } from "../rigs/rig.js";
import { type Mono, monoNow } from "../samples/sample.js";
import type { PortProbe } from "./world.js";

const EVERY_MS = 100;

export type PortAnswer = "open" | "refused" | "silent";

/** Time from the first to the last refusal of the longest uninterrupted run of refusals. */
export function longestRefused(answers: readonly { readonly at: Mono; readonly answer: PortAnswer }[]): number {
  let first: Mono | null = null;
  let longest = 0;
  for (const { at, answer } of answers) {
    if (answer !== "refused") first = null;
    else first ??= at;
    if (first !== null) longest = Math.max(longest, at - first);
  }
  return longest;
}

export function ask(host: string, port: number): Promise<PortAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 500 });
    const end = (answer: PortAnswer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end("open"));
    socket.once("timeout", () => end("silent"));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED" ? "refused" : "silent"));
  });
}

/** The answer of a part that may listen at any of several addresses: open if one is, refused if all are. */
export function combineAnswers(answers: readonly PortAnswer[]): PortAnswer {
  if (answers.includes("open")) return "open";
  return answers.includes("silent") ? "silent" : "refused";
}

export function createPortProbe(addresses: readonly Address[]): PortProbe {
  const answers: { at: Mono; answer: PortAnswer }[] = [];
  let running = true;
  async function loop(): Promise<void> {
    while (running) {
      const at = monoNow();
      const all = await Promise.all(addresses.map(({ host, port }) => ask(host, port)));
      answers.push({ at, answer: combineAnswers(all) });
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, at + EVERY_MS - monoNow())));
    }
  }
  const done = loop();
  return {
    refusedMs: () => longestRefused(answers),
    open: () => answers.at(-1)?.answer === "open",
    async stop() {
      running = false;
      await done;
    },
  };
}
