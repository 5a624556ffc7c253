/** Compiles the lab's small C programs, statically, into the cache. The cache key is their source, so each change compiles once. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../host/run.js";
import { labError } from "../plan/errors.js";
import { cacheRoot, PACKAGE_ROOT } from "../plan/paths.js";

/** Path of the static binary of `native/<name>.c`. */
export async function nativeBinary(name: "reaper"): Promise<string> {
  const source = join(PACKAGE_ROOT, "native", `${name}.c`);
  const digest = createHash("sha256")
    .update(await readFile(source))
    .digest("hex")
    .slice(0, 16);
  const directory = join(cacheRoot(), "native", digest);
  const binary = join(directory, name);
  if (existsSync(binary)) return binary;
  await mkdir(directory, { recursive: true });
  const temporary = `${binary}.${process.pid}`;
  try {
    await run([
      process.env["CC"] || "cc",
      "-Os",
      "-Wall",
      "-Wextra",
      "-Werror",
      "-static",
      "-s",
      "-o",
      temporary,
      source,
    ]);
  } catch (error) {
    throw labError("UNFIT", `Cannot compile "${source}": install gcc and libc6-dev, or run "make setup"`, error);
  }
  await rename(temporary, binary);
  return binary;
}
