/**
 * Many pods appear at once on a node: how long their CNI ADDs take, with the agent in mode `sockets` and in mode `packets`, where
 * each waits for the pod's identity and policy, in turns on two nodes. The pods are network namespaces; the plugin, the agent,
 * its apiserver and the Kubernetes API are real.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DatapathMode } from "@isthmus/bpf";
import { table } from "@isthmus/model";
import { median, percentile } from "../datapath/stats.js";
import { type Later, undoing } from "../undoing.js";
import { type PodsNode, startNode } from "./node.js";

const PODS = 110;
const ROUNDS = 3;
const MODES: readonly DatapathMode[] = ["sockets", "packets"];
const SOURCE = fileURLToPath(new URL("../../src/pods/calls.c", import.meta.url));

export interface AddFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface ModeFigures {
  /** By an agent that has just started. */
  readonly first: AddFigures;
  /** Medians of the rounds after the first. */
  readonly after: AddFigures;
}

export type PodsFigures = Readonly<Record<DatapathMode, ModeFigures>>;

export async function podsMain(): Promise<PodsFigures> {
  const figures = await undoing(measure);
  print(figures);
  return figures;
}

async function measure(later: Later): Promise<PodsFigures> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-calls-"));
  later(() => rmSync(folder, { recursive: true }));
  const calls = join(folder, "calls");
  execFileSync("cc", ["-O2", "-static", "-o", calls, SOURCE], { stdio: "inherit" });
  const name = `mpods${process.pid % 100000}`;
  const pods = Array.from({ length: PODS }, (_, i) => `${name}-p${i}`);
  for (const pod of pods) {
    execFileSync("ip", ["netns", "add", pod]);
    later(() => void execFileSync("ip", ["netns", "del", pod]));
  }
  const nodes: [DatapathMode, PodsNode][] = [];
  for (const mode of MODES)
    nodes.push([mode, await startNode({ name: `${name}-${mode}`, mode, calls, pods, rounds: ROUNDS + 1 }, later)]);
  const rounds: Record<DatapathMode, AddFigures[]> = { sockets: [], packets: [] };
  for (let round = 0; round <= ROUNDS; round++)
    for (const [mode, node] of nodes) rounds[mode].push(await addAll(mode, node, round));
  return { sockets: figuresOf(rounds.sockets), packets: figuresOf(rounds.packets) };
}

/** Adds all pods, and deletes them. */
async function addAll(mode: DatapathMode, node: PodsNode, round: number): Promise<AddFigures> {
  const times = await node.call("ADD", round);
  if (mode === "packets" && (await node.podRows()) !== PODS)
    throw new Error(`Cannot trust the run: the programs do not know all ${PODS} pods`);
  await node.call("DEL", round);
  await node.settle();
  return { p50Ms: median(times), p99Ms: percentile(times, 99) };
}

function figuresOf([first = { p50Ms: Number.NaN, p99Ms: Number.NaN }, ...rest]: readonly AddFigures[]): ModeFigures {
  const of = (field: keyof AddFigures) => median(rest.map((round) => round[field]));
  return { first, after: { p50Ms: of("p50Ms"), p99Ms: of("p99Ms") } };
}

function print({ sockets, packets }: PodsFigures): void {
  console.log(
    `${PODS} pods at once on a node: CNI ADD, from the start of the plugin to its end, ms. ADDED: by mode packets`,
  );
  const row = (what: string, when: keyof ModeFigures, field: keyof AddFigures, reach: string) => {
    const [before, after] = [sockets[when][field], packets[when][field]];
    return [what, ...[before, after, after - before].map((ms) => ms.toFixed(1)), reach];
  };
  process.stdout.write(
    table([
      ["", "SOCKETS", "PACKETS", "ADDED", "REACH ADDED"],
      row("p50", "after", "p50Ms", "<= 50"),
      row("p99", "after", "p99Ms", "<= 200"),
      row("p50, the first pods of an agent", "first", "p50Ms", "<= 50"),
      row("p99, the first pods of an agent", "first", "p99Ms", "<= 200"),
    ]),
  );
}
