/**
 * Scripts `ip` and `nsenter` at the front of an agent's PATH. They run the real programs, except for one call, which
 * fails, or kills the agent (SIGKILL) after some lines of its batch. So an ADD is interrupted at exactly one step.
 * Without a plan the scripts do not exist.
 */
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

export interface FaultInjector {
  /** The folder to put at the front of PATH. */
  readonly folder: string;
  /** Plans a fault in the `call`-th call from now on, 1 = the next one. */
  plan(call: number, what: "fail" | { readonly killAfterLines: number }): Promise<void>;
  /** Removes the plan; true when the fault happened. */
  clear(): Promise<boolean>;
}

export async function createFaultInjector(folder: string): Promise<FaultInjector> {
  await mkdir(folder);
  const calls = join(folder, "calls");
  const plan = join(folder, "plan");
  const real = ["ip", "nsenter"].map((name) =>
    execFileSync("sh", ["-c", `command -v ${name}`])
      .toString()
      .trim(),
  );
  return {
    folder,
    async plan(call, what) {
      await mkdir(calls);
      await writeFile(plan, `${call} ${what === "fail" ? "fail 0" : `kill ${what.killAfterLines}`}\n`);
      for (const path of real) await writeFile(join(folder, basename(path)), script(folder, path), { mode: 0o755 });
    },
    async clear() {
      const [planned] = (await readFile(plan, "utf8")).split(" ");
      const made = (await readdir(calls)).length;
      for (const path of real) await rm(join(folder, basename(path)));
      await rm(calls, { recursive: true });
      return made >= Number(planned);
    },
  };
}

/** The real nsenter starts the real ip, so that a call counts once. Concurrent calls get different numbers. */
function script(folder: string, real: string): string {
  return `#!/bin/sh
PATH=$(echo "$PATH" | sed "s|^${folder}:||")
made=1
while [ -d ${folder}/calls ] && ! mkdir ${folder}/calls/$made 2>/dev/null; do made=$((made + 1)); done
read call what lines < ${folder}/plan
[ "$made" = "$call" ] || exec ${real} "$@"
[ $what = kill ] || { echo "Injected fault" >&2; exit 1; }
head -n $lines | ${real} "$@"
kill -9 $PPID
`;
}
