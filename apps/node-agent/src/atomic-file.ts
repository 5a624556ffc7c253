/**
 * Replaces a file in one step: readers see the old or the new one, never a part. Not synced to disk: after a crash of the
 * machine itself a file may be short, and whoever reads it checks it. Missing folders are made as open as the file.
 *
 * `.<name>.<process>-<number>.tmp` beside the file is one in the making. A process that is killed leaves its own behind:
 * the next one removes it before it writes that file for the first time.
 */
import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export function writeAtomic(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  return replace(path, mode, (temporary) => writeFile(temporary, content, { mode }));
}

export function copyAtomic(from: string, path: string, mode: number): Promise<void> {
  return replace(path, mode, (temporary) => copyFile(from, temporary));
}

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** This process, by a name that no other has. */
const PROCESS = randomBytes(4).toString("hex");
const swept = new Map<string, Promise<void>>();
let count = 0;

async function replace(path: string, mode: number, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${PROCESS}-${count++}.tmp`);
  await mkdir(dirname(path), { recursive: true, mode: (mode & 0o044) === 0 ? 0o700 : 0o755 });
  await sweepOnce(path);
  try {
    await write(temporary);
    await chmod(temporary, mode);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

function sweepOnce(path: string): Promise<void> {
  // What cannot be swept is no reason not to write.
  const sweeping = swept.get(path) ?? sweep(dirname(path), `.${basename(path)}.`).catch(() => undefined);
  swept.set(path, sweeping);
  return sweeping;
}

/** Removes what other processes left of a file. */
async function sweep(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const middle = name.startsWith(prefix) && name.endsWith(".tmp") ? name.slice(prefix.length, -".tmp".length) : "";
    if (/^[0-9a-f]{8}(-\d+)?$/.test(middle) && !middle.startsWith(PROCESS))
      await rm(join(folder, name), { force: true });
  }
}
