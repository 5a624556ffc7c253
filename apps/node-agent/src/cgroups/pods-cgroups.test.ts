import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type TestContext, test } from "node:test";
import { makeCgroup } from "@isthmus/bpf/testing";
import { silentLogger } from "@isthmus/observe";
import { openCgroupRoot } from "./cgroup-root.js";
import { KNOWN_CGROUPS } from "./layouts.js";
import { openPodsCgroups, type PodsCgroups } from "./pods-cgroups.js";

interface Rig {
  /** Each call of attach, relative to the root. */
  readonly calls: string[][];
  readonly made: () => string[];
  make(cgroup: string): void;
  remove(cgroup: string): void;
  open(named?: readonly string[], hybrid?: boolean): PodsCgroups;
  kernel: { refuse: string | undefined };
}

let counter = 0;

/** A cgroup2 folder of the test's own. */
function rig(t: TestContext): Rig {
  const { path: root } = makeCgroup(`mesh-test-pods-${process.pid}-${counter++}`);
  t.after(() => removeTree(root));
  const calls: string[][] = [];
  const kernel: Rig["kernel"] = { refuse: undefined };
  return {
    calls,
    kernel,
    made: () =>
      readdirSync(root, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])),
    make: (cgroup) => void mkdirSync(join(root, cgroup), { recursive: true }),
    remove: (cgroup) => rmdirSync(join(root, cgroup)),
    open: (named, hybrid = false) =>
      openPodsCgroups(
        { root: { path: root, hybrid }, named },
        {
          log: silentLogger,
          attach(folders) {
            if (kernel.refuse !== undefined) throw new Error(kernel.refuse);
            calls.push(folders.map((folder) => relative(root, folder)));
          },
        },
      ),
  };
}

function removeTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(path, entry.name));
  }
  rmdirSync(path);
}

for (const cgroup of KNOWN_CGROUPS) {
  test(`pods in ${cgroup} are found, and nothing else is made or attached`, (t) => {
    const { make, open, calls, made } = rig(t);
    make(cgroup);
    const cgroups = open();
    cgroups.look();
    cgroups.look();
    assert.deepEqual([calls, cgroups.attached, cgroups.problem], [[[cgroup]], [cgroup], undefined]);
    assert.deepEqual(made(), [cgroup.split("/")[0]]);
    cgroups.ensure(undefined);
    assert.throws(() => cgroups.ensure("/elsewhere/pod1"), /"\/elsewhere\/pod1": Service programs are on ".*" only/);
  });
}

test("two layouts at once are both served, what appears later joins, what is made anew is attached again", (t) => {
  const { make, remove, open, calls } = rig(t);
  make("kubepods");
  const cgroups = open();
  cgroups.look();
  make("kubepods.slice");
  cgroups.look();
  remove("kubepods");
  make("kubepods");
  cgroups.look();
  remove("kubepods");
  cgroups.look();
  const both = ["kubepods", "kubepods.slice"];
  assert.deepEqual(calls, [["kubepods"], both, both, ["kubepods.slice"]]);
});

test("where the kubelet makes none in cgroup v2, it is made; what the runtime names is made too", (t) => {
  const { open, calls, made } = rig(t);
  const cgroups = open(undefined, true);
  cgroups.look();
  assert.deepEqual(calls, [["kubepods"]]);
  cgroups.ensure("kubepods-burstable-pod1.slice");
  assert.deepEqual(calls.at(-1), ["kubepods", "kubepods.slice"]);
  assert.deepEqual(made().sort(), ["kubepods", "kubepods.slice"]);
});

test("what the operator names is taken, and only that", (t) => {
  const { make, open, calls } = rig(t);
  make("kubepods");
  const cgroups = open(["custom/kubepods"], true);
  cgroups.ensure("/custom/kubepods/pod1");
  assert.deepEqual(calls, [["custom/kubepods"]]);
  assert.throws(() => cgroups.ensure("/kubepods/pod1"), { code: "CNI", message: /name it with --pods-cgroup$/ });
});

test("a node without a cgroup of pods says so, makes none, and waits for it", (t) => {
  const { make, open, calls, made } = rig(t);
  const cgroups = open();
  cgroups.look();
  const sentence =
    /^Cannot find a cgroup of pods in ".*": there is no kubepods, no kubepods.slice, .*; name the cgroup of this node's pods with --pods-cgroup$/;
  assert.match(cgroups.problem ?? "", sentence);
  assert.throws(() => cgroups.ensure(undefined), { code: "CNI", message: sentence });
  assert.deepEqual([calls, made()], [[], []]);
  make("kubepods.slice");
  cgroups.ensure("kubepods-pod1.slice");
  assert.deepEqual([calls, cgroups.problem], [[["kubepods.slice"]], undefined]);
});

test("without programs no pod starts: the reason is one sentence, and it passes", (t) => {
  const { make, open, kernel, calls } = rig(t);
  make("kubepods");
  const cgroups = open();
  assert.match(cgroups.problem ?? "", /not looked for yet/);
  kernel.refuse = "Operation not permitted";
  assert.throws(() => cgroups.ensure(undefined), { code: "CNI", message: "Operation not permitted" });
  assert.deepEqual([cgroups.attached, cgroups.problem], [[], "Operation not permitted"]);
  kernel.refuse = undefined;
  cgroups.ensure(undefined);
  assert.deepEqual([calls.length, cgroups.problem], [1, undefined]);
});

test("looking again attaches again, for links that somebody took away", (t) => {
  const { make, open, calls } = rig(t);
  make("kubepods");
  const cgroups = open();
  for (const again of [false, false, true]) cgroups.look(again);
  assert.equal(calls.length, 2);
});

test("a folder that is no cgroup2 is refused", (t) => {
  const root = mkdtempSync(join(tmpdir(), "magent-"));
  t.after(() => rmSync(root, { recursive: true }));
  assert.throws(() => openCgroupRoot(root), {
    code: "CGROUP",
    message: `Cannot use --cgroup "${root}": neither it nor "unified" in it is cgroup2`,
  });
});

test("beside cgroup v1 it is the folder's unified", (t) => {
  const root = mkdtempSync(join(tmpdir(), "magent-"));
  t.after(() => rmSync(root, { recursive: true }));
  const { path } = makeCgroup(`mesh-test-pods-${process.pid}-${counter++}`);
  t.after(() => removeTree(path));
  symlinkSync(path, join(root, "unified"));
  assert.equal(openCgroupRoot(root).path, join(root, "unified"));
  assert.equal(openCgroupRoot(path).path, path);
});
