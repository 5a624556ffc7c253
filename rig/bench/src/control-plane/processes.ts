/** Memory and CPU of every process of an idle lab, by role. */
import { readFile } from "node:fs/promises";
import { labStatus, type ProcessRow } from "@isthmus/lab";
import { systemClock } from "@isthmus/model";
import { LAB } from "./lab.js";

export interface ProcessFigures {
  readonly role: string;
  readonly processes: number;
  /** Mean of the role's processes. */
  readonly rssMiB: number;
  /** Shared pages are divided among the processes that share them. */
  readonly pssMiB: number;
  /** Percent of one core, mean of the role's processes. */
  readonly cpuPercent: number;
}

/** Ticks per second in /proc/PID/stat; fixed by the kernel's interface. */
const TICKS = 100;

export async function measureProcesses(seconds: number): Promise<readonly ProcessFigures[]> {
  const rows = (await labStatus(LAB)).filter(({ pid, holder }) => pid !== 0 && !holder);
  const ticks = () => Promise.all(rows.map(({ pid }) => cpuTicks(pid)));
  const before = await ticks();
  const began = systemClock.now();
  await systemClock.delay(seconds * 1000);
  const after = await ticks();
  const elapsed = (systemClock.now() - began) / 1000;
  const samples = await Promise.all(
    rows.map(async (row, i) => ({
      row,
      ...(await memory(row.pid)),
      cpuPercent: (((after[i] ?? 0) - (before[i] ?? 0)) / TICKS / elapsed) * 100,
    })),
  );
  const roles = [...new Set(rows.map(({ role }) => role))];
  return roles.map((role) =>
    byRole(
      role,
      samples.filter(({ row }) => row.role === role),
    ),
  );
}

interface Sample {
  readonly row: ProcessRow;
  readonly rssMiB: number;
  readonly pssMiB: number;
  readonly cpuPercent: number;
}

function byRole(role: string, samples: readonly Sample[]): ProcessFigures {
  const mean = (field: "rssMiB" | "pssMiB" | "cpuPercent") =>
    samples.reduce((sum, sample) => sum + sample[field], 0) / samples.length;
  const [rssMiB, pssMiB, cpuPercent] = [mean("rssMiB"), mean("pssMiB"), mean("cpuPercent")];
  return { role, processes: samples.length, rssMiB, pssMiB, cpuPercent };
}

async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The first field after the name in parentheses is field 3; 14 and 15 are user and system time.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function memory(pid: number): Promise<{ rssMiB: number; pssMiB: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) / 1024;
  return { rssMiB: mib("Rss"), pssMiB: mib("Pss") };
}
