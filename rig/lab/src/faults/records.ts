/**
 * The faults that are in force, one file each, so that whichever process is left can end them.
 *
 * A record is written before its fault takes effect and removed after the effect is undone.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ProcessIdentity } from "../host/process.js";
import type { Effects } from "./effects.js";
import type { Fault } from "./fault.js";

export interface FaultRecord {
  readonly id: number;
  readonly fault: Fault;
  /** Milliseconds since the epoch. */
  readonly beganAtMs: number;
  readonly endsAtMs: number;
  /** The process that ends the fault. */
  readonly guard: ProcessIdentity;
  /** The process that keeps the underlay's namespace alive. */
  readonly underlay: ProcessIdentity;
  readonly effects: Effects;
}

/** Priorities of tc filters, which are ids of faults, have 16 bits and begin at 1. */
const LAST_ID = 65_535;
const COUNTER = "last-id";

/** `folder`: that of the lab's records. In order of their ids. */
export async function readRecords(folder: string): Promise<FaultRecord[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".json"));
  const records = await Promise.all(names.map((name) => read(join(folder, name))));
  return records.filter((record) => record !== undefined).sort((a, b) => a.id - b.id);
}

/** Undefined when the fault has ended meanwhile. */
async function read(file: string): Promise<FaultRecord | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

export async function writeRecord(folder: string, record: FaultRecord): Promise<void> {
  const file = fileOf(folder, record.id);
  await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

export async function removeRecord(folder: string, id: number): Promise<void> {
  await rm(fileOf(folder, id), { force: true });
}

/** An id that no fault had before, so that `clear` of a fault that is over ends no other one. The caller has the lock. */
export async function claimId(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, COUNTER);
  const last = Number(await readFile(file, "utf8").catch(() => "0"));
  const id = (last % LAST_ID) + 1;
  await writeFile(file, String(id));
  return id;
}

function fileOf(folder: string, id: number): string {
  return join(folder, `${id}.json`);
}
