/** Builds the image of the tests' pods: `image/probe.c`, compiled statically on this machine. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildImage } from "@isthmus/lab";

export const PROBE_TAG = "lab.isthmus.io/probe:1";

const SOURCE = fileURLToPath(new URL("../../src/e2e/image/probe.c", import.meta.url));

/** Path of the archive, for `loadImage`. */
export async function probeImage(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-probe-"));
  try {
    const binary = join(folder, "probe");
    await promisify(execFile)("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", binary, SOURCE]);
    const files = [{ path: "/probe", source: binary, mode: 0o755 }];
    return await buildImage({ tag: PROBE_TAG, files, entrypoint: ["/probe"] });
  } finally {
    await rm(folder, { recursive: true });
  }
}
