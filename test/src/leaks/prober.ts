/** A client in a pod that tries all the time, `flows probe` of the tests' image, and what it reports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { LabHandle } from "@isthmus/lab";
import type { Probe } from "./judge.js";
import type { ModelPod } from "./model.js";

export type TargetKind = Probe["kind"];

export interface Prober {
  readonly pod: string;
  /** Replaces what it tries; `address:port`. */
  setTargets(targets: Readonly<Record<TargetKind, readonly string[]>>): void;
  /** Ends it; resolves when all lines have been read. */
  end(): Promise<void>;
}

export interface ProberListener {
  readonly onProbe: (probe: Probe) => void;
  readonly onLate: (client: string, from: number, to: number) => void;
  /** It ended by itself. */
  readonly onEnd: (error: Error) => void;
}

const END_MS = 10_000;
const KINDS: readonly TargetKind[] = ["connect", "ask", "hold", "flow"];

export function startProber(lab: LabHandle, pod: ModelPod, rate: number, listener: ProberListener): Prober {
  const { name, cluster, namespace } = pod;
  const where = ["--kubeconfig", lab.kubeconfig, "--context", cluster, "-n", namespace];
  const child = spawn(
    `${lab.bin}/kubectl`,
    [...where, "exec", "-i", name, "-c", "main", "--", "/flows", "probe", String(rate)],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const closed = once(child, "close") as Promise<[number | null]>;
  let isEnding = false;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const read = parseLine(name, line);
    if ("late" in read) listener.onLate(name, ...read.late);
    else listener.onProbe(read);
  });
  child.stdin.on("error", () => undefined); // its exit is reported
  closed.then(([code]) => {
    if (!isEnding) listener.onEnd(new Error(`The client in pod "${name}" ended with ${code}`));
  });
  return {
    pod: name,
    setTargets(targets) {
      for (const kind of KINDS) child.stdin.write(`${[kind, ...targets[kind]].join(" ")}\n`);
    },
    async end() {
      isEnding = true;
      child.stdin.end();
      // A stream that was broken meanwhile passes no end.
      const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

export function parseLine(client: string, line: string): Probe | { readonly late: readonly [number, number] } {
  const [kind = "", began = "", ended = "", port = "", target = "", outcome = "", answeredBy] = line.trim().split(" ");
  const times = [Number(began), Number(ended)] as const;
  if (kind === "late") return { late: times };
  const known = KINDS.find((one) => one === kind);
  const sourcePort = Number(port);
  if (known === undefined || [...times, sourcePort].some(Number.isNaN))
    throw new Error(`Cannot read "${line}" of the client in "${client}"`);
  return { kind: known, client, began: times[0], ended: times[1], sourcePort, target, outcome, answeredBy };
}
