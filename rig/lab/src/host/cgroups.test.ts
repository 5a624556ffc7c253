/** Uses the machine's hierarchies, in a group of the test's own. Needs root. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { joinCgroup } from "../supervise/wrap.js";
import { cgroupDirectories, makeCgroup, pidsBelow, removeCgroup } from "./cgroups.js";
import { hostHierarchies } from "./mounts.js";
import { waitFor } from "./wait.js";

test("a process joins in every hierarchy before its first instruction and is found below; then the group is removed", async (t) => {
  const hierarchies = hostHierarchies();
  const group = `isthmus-unit-${process.pid}`;
  makeCgroup(hierarchies, `${group}/inner`);
  const argv = joinCgroup(hierarchies, `${group}/inner`, ["sleep", "60"]);
  const child = spawn(argv[0] ?? "", argv.slice(1));
  t.after(() => {
    child.kill("SIGKILL");
    removeCgroup(hierarchies, group);
  });
  const pid = child.pid ?? 0;
  await waitFor("sleep", () => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n", {
    timeoutMs: 5_000,
    everyMs: 5,
  });
  for (const directory of cgroupDirectories(hierarchies, `${group}/inner`)) {
    assert.ok(readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n").includes(String(pid)), directory);
  }
  assert.deepEqual([...pidsBelow(hierarchies, group)], [pid]);
  assert.notDeepEqual(removeCgroup(hierarchies, group), [], "a group with a process stays");
  child.kill("SIGKILL");
  await once(child, "exit");
  await waitFor("the group to go", () => removeCgroup(hierarchies, group).length === 0, {
    timeoutMs: 5_000,
    everyMs: 5,
  });
  for (const directory of cgroupDirectories(hierarchies, group)) assert.ok(!existsSync(directory), directory);
});

test("a group that does not exist has no processes and needs no removal", () => {
  const hierarchies = hostHierarchies();
  assert.equal(pidsBelow(hierarchies, "isthmus-not-there").size, 0);
  assert.deepEqual(removeCgroup(hierarchies, "isthmus-not-there"), []);
});
