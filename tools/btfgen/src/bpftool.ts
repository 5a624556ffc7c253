/**
 * Finds a bpftool that runs. Ubuntu's is a script that needs the tools of the running kernel and fails for another flavour, but
 * the tools of any kernel can read BTF.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const TOOLS = "/usr/lib/linux-tools";
/** Debian installs it in a folder that is not always in the PATH. */
const PLACES = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];

/** Throws an error that lists the tried folders. `tools`: a folder with one folder of tools per kernel. */
export function findBpftool(places: readonly string[] = PLACES, tools = TOOLS): string {
  const candidates = [...places, ...kernelsOf(tools)].map((folder) => join(folder, "bpftool"));
  const found = candidates.find((path) => spawnSync(path, ["version"], { stdio: "ignore" }).status === 0);
  if (found !== undefined) return found;
  throw new Error(`Cannot find a bpftool that runs: looked in ${places.join(", ")} and in the folders of "${tools}"`);
}

/** Folders of the kernels' tools, newest first. */
function kernelsOf(tools: string): readonly string[] {
  try {
    const byVersion = new Intl.Collator("en", { numeric: true });
    return readdirSync(tools)
      .sort((a, b) => byVersion.compare(b, a))
      .map((name) => join(tools, name));
  } catch {
    return [];
  }
}
