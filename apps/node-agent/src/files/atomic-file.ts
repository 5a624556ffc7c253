/**
 * Replaces a file atomically: readers see the old or the new file, never a part. The file is not synced to disk: after
 * a crash of the machine it may be truncated, so its reader must check it. Missing folders are created with mode 755,
 * or 700 if only the owner may read the file.
 *
 * The new content is first written to `.<name>.<process>-<number>.tmp` in the same folder. A killed process leaves this
 * file behind; the next process removes it before its first write of the file.
 */
import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Parts of an iterable are taken one after the other, each when the one before it is written. */
export function writeAtomic(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
  mode = 0o600,
): Promise<void> {
  return replace(path, mode, (temporary) => writeFile(temporary, content, { mode }));
}

/** The copy has `mode`, whatever that of `from` is. Rejects with the file system's error; `path` is as before then. */
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

/** Random id of this process. */
const PROCESS = randomBytes(4).toString("hex");
const sweeps = new Map<string, Promise<void>>();
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
  // A failed sweep does not prevent the write.
  const sweeping = sweeps.get(path) ?? sweep(dirname(path), `.${basename(path)}.`).catch(() => undefined);
  sweeps.set(path, sweeping);
  return sweeping;
}

/** Removes the temporary files that other processes left of a file. */
async function sweep(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const middle = name.startsWith(prefix) && name.endsWith(".tmp") ? name.slice(prefix.length, -".tmp".length) : "";
    if (/^[0-9a-f]{8}(-\d+)?$/.test(middle) && !middle.startsWith(PROCESS))
      await rm(join(folder, name), { force: true });
  }
}
