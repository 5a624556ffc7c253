/**
 * SIGKILL of all of east's servers while a real HTTP client uses them: on new connections, and at the same time on those of a pool.
 *
 * Out: what each client saw. A client passes when no connect failed: only requests on established connections may get no answer.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCgroup2 } from "@isthmus/bpf/testing";
import {
  demoProcesses,
  killAll,
  type LoadModules,
  NEAR,
  renew,
  type Rig,
  type RigWorld,
  restoring,
  underLoad,
} from "@isthmus/demo";
import { waitFor } from "@isthmus/runtime";
import { recover } from "../health.js";
import { CLIENTS, type ClientProgram, isInPath, type Mode, MODES } from "./client-programs.js";
import type { Ledger } from "./ledger.js";
import { type PodPlace, type RunningClient, startClient } from "./run-client.js";

/** Requests a second, of each mode. */
const RATE = 200;
/** Of the client that only shows that the mesh serves. */
const LOAD_RATE = 100;
const WARM_MS = 30_000;

export interface ClientRun extends Ledger {
  readonly client: string;
  readonly mode: Mode;
  readonly passed: boolean;
}

export interface ClientReport {
  readonly runs: readonly ClientRun[];
  /** Sentences about the clients that were not run. */
  readonly notRun: readonly string[];
  readonly passed: boolean;
}

export async function drillClients(rig: Rig, modules: LoadModules): Promise<ClientReport> {
  const { say, signal } = modules;
  const runs: ClientRun[] = [];
  const missing = CLIENTS.filter(({ tool }) => !isInPath(tool));
  const notRun = missing.map(({ name, tool }) => `${name} was not run: there is no "${tool}" in PATH`);
  for (const sentence of notRun) say(sentence);
  const folder = await mkdtemp(join(tmpdir(), "isthmus-clients-"));
  try {
    await underLoad(rig, { rate: LOAD_RATE, lingerMs: 0 }, modules, async (world) => {
      const address = await world.serviceAddress();
      const pid = await podProcess(world);
      for (const client of CLIENTS.filter((each) => !missing.includes(each))) {
        say(`${client.name}: ${RATE} requests a second on new connections, and as many on a pool's`);
        const use = { client, address, place: { pid, cgroups: findCgroup2() }, folder, signal };
        const found = await restoring(world, () => drillClient(world, use));
        runs.push(...found);
        for (const run of found) say(sentenceOf(run));
      }
    });
  } finally {
    await rm(folder, { recursive: true });
  }
  return { runs, notRun, passed: runs.length > 0 && runs.every(({ passed }) => passed) };
}

/** A process of the load client's pod: the clients run there too. */
async function podProcess(world: RigWorld): Promise<number> {
  const [pid] = await demoProcesses([await world.clientUid()]);
  if (pid === undefined) throw new Error("Cannot find a process of the client's pod");
  return pid;
}

interface ClientUse {
  readonly client: ClientProgram;
  readonly address: string;
  readonly place: PodPlace;
  readonly folder: string;
  readonly signal: AbortSignal;
}

async function drillClient(world: RigWorld, { client, address, place, folder, signal }: ClientUse) {
  await recover(world);
  await renew(world, NEAR);
  const running: { readonly mode: Mode; readonly client: RunningClient }[] = [];
  try {
    for (const mode of MODES)
      running.push({ mode, client: await startClient(client, { address, rate: RATE, mode }, place, folder) });
    for (const { mode, client: each } of running) {
      const isWarm = () => each.ledger.counts.ok >= RATE;
      await waitFor(`a second's answers to ${client.name} (${mode})`, isWarm, {
        timeoutMs: WARM_MS,
        everyMs: 50,
        signal,
      });
    }
    await killAll(world, `kill (${client.name})`, NEAR);
  } finally {
    await Promise.all(running.map(({ client: each }) => each.end()));
  }
  return running.map(({ mode, client: { ledger } }) => runOf(client.name, mode, ledger));
}

export function runOf(client: string, mode: Mode, { counts, slowestMs, errors, sent }: Ledger): ClientRun {
  const all = counts.ok + counts.connect + counts.established;
  const passed = counts.ok > 0 && counts.connect === 0 && (sent === null || sent === all);
  return { client, mode, counts, slowestMs, errors, sent, passed };
}

function sentenceOf({ client, mode, counts, slowestMs }: ClientRun): string {
  return `${client}, ${mode}: ${counts.ok} answered, ${counts.connect} connects failed, ${counts.established} ended, slowest ${slowestMs} ms`;
}
