/**
 * Which bpftool runs. Ubuntu's is a script that wants the tools of the running kernel and fails where that is another flavour;
 * the tools of any kernel read BTF as well.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const TOOLS = "/usr/lib/linux-tools";
/** Where Debian has it is not always in the PATH. */
const PLACES = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];

/** Throws with what was tried. `tools`: a folder of kernels' tools, one folder each. */
export function findBpftool(places: readonly string[] = PLACES, tools = TOOLS): string {
  const candidates = [...places, ...kernelsOf(tools)].map((folder) => join(folder, "bpftool"));
  const found = candidates.find((path) => spawnSync(path, ["version"], { stdio: "ignore" }).status === 0);
  if (found !== undefined) return found;
  throw new Error(`Cannot find a bpftool that runs: looked in ${places.join(", ")} and in the folders of "${tools}"`);
}

/** The newest first. */
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
