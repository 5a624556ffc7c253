/**
 * A process is identified by its pid and its start time, since a pid may be reused before it is used here.
 *
 * In: /proc. Out: identities, and signals that reach only the identified process.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTicks: number;
}

/** The fields of /proc/PID/stat after the command name, which may contain spaces and brackets: the state is the first. */
function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Parses the start time from /proc/PID/stat. Undefined for a zombie. */
export function parseStartTicks(stat: string): number | undefined {
  const fields = statFields(stat);
  const state = fields[0];
  if (state === undefined || state === "Z" || state === "X") return undefined;
  const ticks = Number(fields[19]);
  return Number.isFinite(ticks) ? ticks : undefined;
}

const PF_EXITING = 0x4;

function isExiting(stat: string): boolean {
  return (Number(statFields(stat)[6]) & PF_EXITING) !== 0;
}

/**
 * True when the kernel has already released the process's files, memory and namespaces, so that only its entry is left. A
 * namespace's pid 1 stays like that until the last process in it is reaped, and pid 1 of the machine may be slow to reap it.
 */
function holdsNothing(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/ns/mnt`);
    return false;
  } catch {
    return true;
  }
}

/** Identity of a running process; undefined when it does not run. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const startTicks = parseStartTicks(stat);
    return startTicks === undefined || (isExiting(stat) && holdsNothing(pid)) ? undefined : { pid, startTicks };
  } catch {
    return undefined;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTicks === identity.startTicks;
}

/** Sends the signal if the process is still the same; returns false when it has exited. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** True when the process is stopped by a signal. */
export function isStopped(pid: number): boolean {
  return statOf(pid)?.[0] === "T";
}

/** The parent of a process and its command name; undefined when one of them has exited. */
export function parentOf(pid: number): { readonly identity: ProcessIdentity; readonly command: string } | undefined {
  const identity = identify(Number(statOf(pid)?.[1] ?? 0));
  if (identity === undefined) return undefined;
  try {
    return { identity, command: readFileSync(`/proc/${identity.pid}/comm`, "latin1").trim() };
  } catch {
    return undefined;
  }
}

function statOf(pid: number): string[] | undefined {
  try {
    return statFields(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return undefined;
  }
}

/** Describes a process that does not exit, for an operator: "4711 kubelet, in the kernel at nfs_wait (D)". */
export function describeProcess(pid: number): string {
  const read = (file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "latin1").trim();
    } catch {
      return "";
    }
  };
  const state = /\) (\w) /.exec(read("stat"))?.[1] ?? "gone";
  const where = read("wchan");
  return `${pid} ${read("comm")}${where === "" || where === "0" ? "" : `, in the kernel at ${where}`} (${state})`;
}

/** Children of a process, over all its threads. */
export async function childrenOf(pid: number): Promise<number[]> {
  try {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, "latin1");
    return text.split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** True once the process has executed this program. */
export function runsProgram(pid: number, file: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === file;
  } catch {
    return false;
  }
}
