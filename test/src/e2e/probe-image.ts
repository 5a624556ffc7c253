/** Builds the image of the tests' pods: the programs in `image/`, compiled statically on this machine. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildImage } from "@isthmus/lab";

export const PROBE_TAG = "lab.isthmus.io/probe:1";

/** What the file of each program says how to use; the first is the image's entrypoint. */
const PROGRAMS = ["probe", "paths", "flows"];

/** Compiles `probe` into a folder and returns its path, for tests that run it on a node instead of in a pod. */
export function compileProbe(into: string): Promise<string> {
  return compile("probe", into);
}

/** The same of another program. */
export async function compile(name: string, into: string): Promise<string> {
  const binary = join(into, name);
  const source = fileURLToPath(new URL(`../../src/e2e/image/${name}.c`, import.meta.url));
  await promisify(execFile)("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", binary, source]);
  return binary;
}

/** Path of the archive, for `loadImage`. */
export async function probeImage(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-probe-"));
  try {
    const files = await Promise.all(
      PROGRAMS.map(async (name) => ({ path: `/${name}`, source: await compile(name, folder), mode: 0o755 })),
    );
    return await buildImage({ tag: PROBE_TAG, files, entrypoint: [`/${PROGRAMS[0]}`] });
  } finally {
    await rm(folder, { recursive: true });
  }
}
