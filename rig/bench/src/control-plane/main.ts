/**
 * The control plane's figures: the agent on real maps, the propagation of a change from cluster to cluster, idle processes. Each
 * is printed beside the target of the design.
 */
import { availableParallelism } from "node:os";
import { table } from "@isthmus/model";
import { type AgentFigures, benchAgent } from "./agent.js";
import { type EndpointFigures, measureEndpoints } from "./endpoints.js";
import { withLab } from "./lab.js";
import { type EffectFigures, measureEffect } from "./policy-effect.js";
import { measureProcesses, type ProcessFigures } from "./processes.js";
import { measurePropagation, type PropagationFigures, type Series } from "./propagation.js";
import { benchScale, type ScaleFigures } from "./scale.js";
import type { Spread } from "./spread.js";

const CHANGES = 1_000;
const EFFECTS = 200;
const WRITERS = 8;
const AT_REST_S = 20;
const ENDPOINTS = [10, 100, 1_000, 5_000];
const ENDPOINT_ROUNDS = 250;

export interface MeshFigures {
  readonly processes: readonly ProcessFigures[];
  readonly effect: EffectFigures;
  readonly propagation: PropagationFigures;
}

/** CPU time over wall time: well below 1, the machine was busy with other work, and every figure is too high. */
export type Shared<T> = T & { readonly cpuShare: number };

export async function agentMain(): Promise<Shared<AgentFigures>> {
  const [began, before] = [performance.now(), process.cpuUsage()];
  const measured = await benchAgent({ services: 10_000, backends: 10, changes: 2_000 });
  const { user, system } = process.cpuUsage(before);
  const figures = { ...measured, cpuShare: (user + system) / 1000 / (performance.now() - began) };
  const { p50, p99 } = figures.changeMs;
  console.log("The agent on real maps, 10,000 Services x 10 backends");
  process.stdout.write(
    table([
      ["", "MEASURED", "REACH"],
      ["one endpoint changed, message to map: p50", ms(p50), "<= 1 ms"],
      ["one endpoint changed, message to map: p99", ms(p99), "<= 5 ms"],
      ["state in hand (merged) to all maps written", ms(figures.mapsMs), "<= 500 ms"],
      ["  CPU time of the main thread for it", ms(figures.mapsCpuMs), "-"],
      ["records in memory to all maps written", ms(figures.firstLoadMs), "<= 500 ms"],
      ["  CPU time of the main thread for it", ms(figures.firstLoadCpuMs), "-"],
      ["  longest block of the event loop", ms(figures.firstLoadBlockMs), "<= 20 ms"],
      ["start on maps that hold all of it: adopted", ms(figures.adoptFullMs), "-"],
    ]),
  );
  console.log(
    `CPU time ÷ time: ${figures.cpuShare.toFixed(2)}; well below 1, others had the machine and all is too high`,
  );
  return figures;
}

export async function endpointsMain(): Promise<{ readonly sizes: readonly EndpointFigures[] }> {
  const sizes: EndpointFigures[] = [];
  for (const endpoints of ENDPOINTS) sizes.push(await measureEndpoints(endpoints, ENDPOINT_ROUNDS));
  console.log("One endpoint of a Service changed, message to maps. ALL: an exchange with its floor and what it frees.");
  console.log("COLD: the changes of an agent that has just started, before those of the other columns.");
  process.stdout.write(
    table([
      [
        "ENDPOINTS",
        "EXCHANGED",
        "ONE LESS",
        "ONE MORE",
        "ALL",
        "p50",
        "p99",
        "MAX",
        "CPU p50",
        "CPU p99",
        "COLD p99",
        "REACH",
      ],
      ...sizes.map(({ endpoints, writes, allWrites, ms: { p50, p99, max }, cpuMs, coldP99Ms }) => [
        String(endpoints),
        ...[writes.exchanged, writes.less, writes.more].map((count) => `${count} writes`),
        String(allWrites),
        ...[p50, p99, max, cpuMs.p50, cpuMs.p99, coldP99Ms].map(ms),
        endpoints <= 256 ? "<= 4 writes" : "p99 <= 5 ms",
      ]),
    ]),
  );
  return { sizes };
}

export async function scaleMain(): Promise<Shared<ScaleFigures>> {
  const [began, before] = [performance.now(), process.cpuUsage()];
  const measured = await benchScale({ nodes: 25_000, services: 25_000, endpoints: 10, changeMs: 15_000 });
  const { user, system } = process.cpuUsage(before);
  const figures = { ...measured, cpuShare: (user + system) / 1000 / (performance.now() - began) };
  const { firstLoad, changes, restart } = figures;
  const megabytes = (changes.snapshotBytes / 1e6).toFixed(0);
  console.log("The agent at 25,000 nodes and 250,000 endpoints, with routes and disk snapshots");
  console.log(
    table([
      ["", "MEASURED", "REACH"],
      ["first load: all maps written", ms(firstLoad.mapsMs), "-"],
      ["first load: all routes written", ms(firstLoad.routesMs), "-"],
      ["  longest block of the event loop", ms(firstLoad.blockMs), "<= 20 ms"],
      ["one node changed, message to map: p50", ms(changes.nodeMs.p50), "<= 1 ms"],
      ["one node changed, message to map: p99", ms(changes.nodeMs.p99), "<= 5 ms"],
      ["one node changed, message to routes: p50", ms(changes.routeMs.p50), "-"],
      ["one endpoint changed, message to map: p50", ms(changes.endpointMs.p50), "<= 1 ms"],
      ["one endpoint changed, message to map: p99", ms(changes.endpointMs.p99), "<= 5 ms"],
      [`  longest block, ${changes.snapshots} snapshots of ${megabytes} MB`, ms(changes.blockMs), "<= 20 ms"],
      ["start on full maps and a snapshot", ms(restart.ms), "-"],
      ["  longest block of the event loop", ms(restart.blockMs), "<= 20 ms"],
    ]),
  );
  console.log(
    "A block: time in which others had the CPU does not count, but garbage collection on a busy machine does",
  );
  return figures;
}

export async function meshMain(): Promise<MeshFigures> {
  const figures = await withLab(async (lab) => {
    const processes = await measureProcesses(AT_REST_S);
    const effect = await measureEffect(lab, EFFECTS);
    return { processes, effect, propagation: await measurePropagation(lab, CHANGES, WRITERS) };
  });
  const { idle, sustained } = figures.propagation;
  console.log(
    `A change in east's API to a map in west, ${CHANGES} changes each, ${availableParallelism()} CPUs for all`,
  );
  const header = ["", "RATE/s", "SEEN", "p50", "p99", "MAX", "FROM ANSWER p50", "p99", "REACH p99"];
  process.stdout.write(
    table([header, row("one writer", idle, "<= 100 ms"), row(`${WRITERS} writers`, sustained, "<= 250 ms at 1,000/s")]),
  );
  const { changes, policyMs, policyBothMs, labelMs, labelOtherMs } = figures.effect;
  console.log(`\nFrom a request in the Kubernetes API to the kernel of a node, ${changes} changes each`);
  const effects: [string, Spread][] = [
    ["a policy, asked for in both clusters at once", policyMs],
    ["  in effect in both", policyBothMs],
    ["a label of a pod, on a node of its cluster", labelMs],
    ["  of the other cluster", labelOtherMs],
  ];
  process.stdout.write(
    table([
      ["", "p50", "p99", "MAX"],
      ...effects.map(([what, { p50, p99, max }]) => [what, ...[p50, p99, max].map(ms)]),
    ]),
  );
  console.log(`\nAt rest, ${AT_REST_S} s, per process`);
  process.stdout.write(
    table([
      ["ROLE", "PROCESSES", "RSS", "PSS", "CPU"],
      ...figures.processes.map(({ role, processes, rssMiB, pssMiB, cpuPercent }) => [
        role,
        String(processes),
        `${rssMiB.toFixed(0)} MiB`,
        `${pssMiB.toFixed(0)} MiB`,
        `${cpuPercent.toFixed(2)} %`,
      ]),
    ]),
  );
  return figures;
}

function row(name: string, series: Series, reach: string): string[] {
  const { ratePerSecond, changes, lost, fromRequestMs, fromAnswerMs } = series;
  const rate = ratePerSecond.toFixed(0);
  const { p50, p99, max } = fromRequestMs;
  return [
    name,
    rate,
    `${changes - lost}/${changes}`,
    ...[p50, p99, max, fromAnswerMs.p50, fromAnswerMs.p99].map(ms),
    reach,
  ];
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}
