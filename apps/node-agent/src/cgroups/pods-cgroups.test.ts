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

/** A new cgroup2 folder for this test. */
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
        { root: { path: root, hybrid }, configured: named },
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
  test(`the cgroup ${cgroup} is found and attached, and no other is created or attached`, (t) => {
    const { make, open, calls, made } = rig(t);
    make(cgroup);
    const cgroups = open();
    cgroups.check();
    cgroups.check();
    assert.deepEqual([calls, cgroups.attached, cgroups.problem], [[[cgroup]], [cgroup], undefined]);
    assert.deepEqual(made(), [cgroup.split("/")[0]]);
    cgroups.requireAttached(undefined);
    assert.throws(
      () => cgroups.requireAttached("/elsewhere/pod1"),
      /"\/elsewhere\/pod1": Service programs are on ".*" only/,
    );
  });
}

test("cgroups of two layouts are both attached, also one that appears later or is created again", (t) => {
  const { make, remove, open, calls } = rig(t);
  make("kubepods");
  const cgroups = open();
  cgroups.check();
  make("kubepods.slice");
  cgroups.check();
  remove("kubepods");
  make("kubepods");
  cgroups.check();
  remove("kubepods");
  cgroups.check();
  const both = ["kubepods", "kubepods.slice"];
  assert.deepEqual(calls, [["kubepods"], both, both, ["kubepods.slice"]]);
});

test("a cgroup that the kubelet does not create in cgroup v2 is created, and so is the one that the runtime names", (t) => {
  const { open, calls, made } = rig(t);
  const cgroups = open(undefined, true);
  cgroups.check();
  assert.deepEqual(calls, [["kubepods"]]);
  cgroups.requireAttached("kubepods-burstable-pod1.slice");
  assert.deepEqual(calls.at(-1), ["kubepods", "kubepods.slice"]);
  assert.deepEqual(made().sort(), ["kubepods", "kubepods.slice"]);
});

test("only the cgroups that the operator names are attached", (t) => {
  const { make, open, calls } = rig(t);
  make("kubepods");
  const cgroups = open(["custom/kubepods"], true);
  cgroups.requireAttached("/custom/kubepods/pod1");
  assert.deepEqual(calls, [["custom/kubepods"]]);
  assert.throws(() => cgroups.requireAttached("/kubepods/pod1"), {
    code: "CNI",
    message: /name it with --pods-cgroup$/,
  });
});

test("without a cgroup of pods the problem is reported, none is created, and the programs are attached once it exists", (t) => {
  const { make, open, calls, made } = rig(t);
  const cgroups = open();
  cgroups.check();
  const sentence =
    /^Cannot find a cgroup of pods in ".*": there is no kubepods, no kubepods.slice, .*; name the cgroup of this node's pods with --pods-cgroup$/;
  assert.match(cgroups.problem ?? "", sentence);
  assert.throws(() => cgroups.requireAttached(undefined), { code: "CNI", message: sentence });
  assert.deepEqual([calls, made()], [[], []]);
  make("kubepods.slice");
  cgroups.requireAttached("kubepods-pod1.slice");
  assert.deepEqual([calls, cgroups.problem], [[["kubepods.slice"]], undefined]);
});

test("while the programs cannot be attached, ADD fails with the kernel's error", (t) => {
  const { make, open, kernel, calls } = rig(t);
  make("kubepods");
  const cgroups = open();
  assert.match(cgroups.problem ?? "", /^Service programs are not attached yet$/);
  kernel.refuse = "Operation not permitted";
  assert.throws(() => cgroups.requireAttached(undefined), { code: "CNI", message: "Operation not permitted" });
  assert.deepEqual([cgroups.attached, cgroups.problem], [[], "Operation not permitted"]);
  kernel.refuse = undefined;
  cgroups.requireAttached(undefined);
  assert.deepEqual([calls.length, cgroups.problem], [1, undefined]);
});

test("a check with `again` attaches again, to restore links that were removed", (t) => {
  const { make, open, calls } = rig(t);
  make("kubepods");
  const cgroups = open();
  for (const again of [false, false, true]) cgroups.check(again);
  assert.equal(calls.length, 2);
});

test("a folder that is no cgroup2 is refused", (t) => {
  const root = mkdtempSync(join(tmpdir(), "magent-"));
  t.after(() => rmSync(root, { recursive: true }));
  assert.throws(() => openCgroupRoot(root), {
    code: "CGROUP",
    message: `Cannot use --cgroup "${root}": neither it nor its subfolder "unified" is cgroup2`,
  });
});

test("in a cgroup v1 folder, its subfolder unified is used", (t) => {
  const root = mkdtempSync(join(tmpdir(), "magent-"));
  t.after(() => rmSync(root, { recursive: true }));
  const { path } = makeCgroup(`mesh-test-pods-${process.pid}-${counter++}`);
  t.after(() => removeTree(path));
  symlinkSync(path, join(root, "unified"));
  assert.equal(openCgroupRoot(root).path, join(root, "unified"));
  assert.equal(openCgroupRoot(path).path, path);
});
