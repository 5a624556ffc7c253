/**
 * The program of the demo's pods: `image/*.c` compiled into one static executable.
 *
 * In: the sources and a C compiler. Out: a folder that is the root of the image, with `/demo` in it. Nothing is
 * compiled when the executable is newer than every source.
 */
import { execFile } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const SOURCES = fileURLToPath(new URL("../../image/", import.meta.url));

async function newest(files: readonly string[]): Promise<number> {
  const times = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
  return Math.max(...times);
}

/** Returns the folder with the executable `demo`; throws with the compiler's output when it does not compile. */
export async function buildProgram(): Promise<string> {
  const folder = join(SOURCES, "build");
  const program = join(folder, "demo");
  const sources = (await readdir(SOURCES)).filter((name) => /\.[ch]$/.test(name)).map((name) => join(SOURCES, name));
  const built = await stat(program).catch(() => null);
  if (built === null || built.mtimeMs < (await newest(sources))) {
    await promisify(execFile)("make", ["-B", "-C", SOURCES]);
  }
  return folder;
}
