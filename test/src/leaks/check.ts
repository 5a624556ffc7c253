/**
 * Whether the leak test finds what is wrong. Clients try as in the leak test, and nothing changes but this, for each mesh that is
 * broken on purpose:
 *
 * ```
 *   its policy is in force ─► tries of all kinds, and no violation ─► it is broken ─► each violation that is expected, in 30 s,
 *                                                                                     and no other one
 * ```
 */
import type { LabHandle } from "@isthmus/lab";
import { waitFor, waitWithin } from "@isthmus/runtime";
import { BROKEN_MESHES, type BrokenMesh, knownPolicy } from "./broken.js";
import type { Tally } from "./report.js";
import { type Clients, type RunOptions, withClients } from "./run.js";

export interface Checked {
  readonly name: string;
  /** Until the last one of what is expected was found. */
  readonly seconds: number;
  /** `leak: connect`, and how often. */
  readonly found: ReadonlyMap<string, number>;
  /** What is wrong with the leak test; empty: nothing. */
  readonly findings: readonly string[];
}

/** So many tries of each of these kinds without a violation show that nothing is broken yet, or any more. */
const ENOUGH = 20;
/** Others need an established connection, which a policy may deny. */
const KINDS = ["connect", "ask", "flow", "connect to a Service", "ask to a Service"];
const HEAL_MS = 30_000;
const FIND_MS = 30_000;

/** Of each of these meshes. */
export async function checkLeakTest(
  lab: LabHandle,
  names: readonly string[],
  options: Pick<RunOptions, "rate" | "say" | "signal">,
): Promise<readonly Checked[]> {
  return await withClients(lab, options, async (clients) => {
    const checked: Checked[] = [];
    for (const name of names) {
      const broken = BROKEN_MESHES[name];
      if (broken === undefined) throw new Error(`Unknown broken mesh "${name}"`);
      options.say(`${name}: ${broken.what}`);
      checked.push(await checkOne(name, broken, clients));
    }
    return checked;
  });
}

async function checkOne(name: string, broken: BrokenMesh, clients: Clients): Promise<Checked> {
  const { clusters, model, watch, signal } = clients;
  if (broken.tightens !== true) await setPolicy(broken, clients);
  let seen: Tally | undefined;
  const isHealthy = () => {
    if (seen !== undefined && watch.tally === seen && seen.violations === 0) return hasEnough(seen);
    watch.countAnew();
    seen = watch.tally;
    return false;
  };
  await waitFor("tries of all kinds without a violation", isHealthy, { timeoutMs: HEAL_MS, signal });
  watch.countAnew();
  const began = performance.now();
  await Promise.all(clusters.all.map((cluster) => broken.break(cluster, model)));
  if (broken.tightens === true) await setPolicy(broken, clients);
  const isFound = () => missing(broken.expected, violationsOf(watch.tally)).length === 0;
  await waitWithin(isFound, { timeoutMs: FIND_MS, signal });
  const seconds = (performance.now() - began) / 1000;
  // By then what is no violation would have been reported too.
  await waitWithin(() => hasEnough(watch.tally), { timeoutMs: FIND_MS, signal });
  const found = violationsOf(watch.tally);
  await Promise.all(clusters.all.map((cluster) => broken.mend(cluster, model)));
  if (broken.policy !== undefined)
    for (const { plan } of clusters.all) await clusters.deletePolicy(knownPolicy(plan.name));
  await inForce(clients);
  return { name, seconds, found, findings: findingsOf(broken.expected, found) };
}

async function setPolicy({ policy }: BrokenMesh, clients: Clients): Promise<void> {
  if (policy === undefined) return;
  for (const { plan } of clients.clusters.all) await clients.clusters.writePolicy(knownPolicy(plan.name), policy);
  await inForce(clients);
}

async function inForce({ clusters, signal }: Clients): Promise<void> {
  await waitFor("the policy to be in force", () => clusters.pending === 0, { timeoutMs: HEAL_MS, signal });
}

function hasEnough({ counts }: Tally): boolean {
  const count = (kind: string) => [...(counts.get(kind)?.values() ?? [])].reduce((sum, one) => sum + one, 0);
  return KINDS.every((kind) => count(kind) >= ENOUGH);
}

/** By verdict and kind. */
export function violationsOf({ counts }: Tally): ReadonlyMap<string, number> {
  return new Map(
    [...counts].flatMap(([kind, of]) =>
      (["leak", "fault"] as const).flatMap((verdict): readonly [string, number][] => {
        const count = of.get(verdict) ?? 0;
        return count === 0 ? [] : [[`${verdict}: ${kind}`, count]];
      }),
    ),
  );
}

function missing(expected: readonly string[], found: ReadonlyMap<string, number>): readonly string[] {
  return expected.filter((one) => !found.has(one));
}

export function findingsOf(expected: readonly string[], found: ReadonlyMap<string, number>): readonly string[] {
  return [
    ...missing(expected, found).map((one) => `Not found: ${one}`),
    ...[...found.keys()].filter((one) => !expected.includes(one)).map((one) => `Found although it is none: ${one}`),
  ];
}

export function checkText(checked: readonly Checked[]): string {
  const lines = checked.flatMap(({ name, seconds, found, findings }) => [
    `${findings.length === 0 ? "found " : "MISSED"} ${name.padEnd(14)} in ${seconds.toFixed(1)} s: ${[...found].map(([what, count]) => `${count} × ${what}`).join(", ")}`,
    ...findings.map((finding) => `       ${finding}`),
  ]);
  return `${lines.join("\n")}\n`;
}
