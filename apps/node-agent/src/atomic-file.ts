/**
 * Replaces a file in one step: readers see the old or the new one, never a part. Not synced to disk: after a crash of the
 * machine itself a file may be short, and whoever reads it checks it. Missing folders are made as open as the file.
 */
import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
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

async function replace(path: string, mode: number, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}.tmp`);
  await mkdir(dirname(path), { recursive: true, mode: (mode & 0o044) === 0 ? 0o700 : 0o755 });
  try {
    await write(temporary);
    await chmod(temporary, mode);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
