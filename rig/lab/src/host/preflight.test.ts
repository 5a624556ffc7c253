import assert from "node:assert/strict";
import { test } from "node:test";
import { findUnfit, kernelAtLeast, type Machine } from "./preflight.js";

const FIT: Machine = {
  platform: "linux",
  uid: 0,
  kernelRelease: "6.1.0-18-amd64",
  hasBtf: true,
  hasCgroups: true,
  missingPrograms: [],
  freeBytes: 2 ** 40,
  freeInotifyInstances: 128,
};
const SIZE = { clusters: ["east", "west"], nodesPerCluster: 2 };

test("a fit machine has no finding", () => assert.equal(findUnfit(FIT, SIZE), undefined));

test("each unmet requirement is one sentence", () => {
  const cases: [Partial<Machine>, RegExp][] = [
    [{ platform: "darwin" }, /needs Linux/],
    [{ uid: 1000 }, /as root/],
    [{ kernelRelease: "5.10.0" }, /too old/],
    [{ hasBtf: false }, /BTF/],
    [{ hasCgroups: false }, /cgroup2/],
    [{ missingPrograms: ["runc"] }, /runc/],
    [{ freeBytes: 300 * 2 ** 20 }, /^Only 300 MiB are free for "\/var\/lib\/isthmus\/labs": a lab needs 1024$/],
    [
      { freeInotifyInstances: 20 },
      /^Only 20 inotify instances are free, and this lab takes 36: take another lab down, or run "sysctl /,
    ],
  ];
  for (const [change, sentence] of cases) {
    const found = findUnfit({ ...FIT, ...change }, SIZE) ?? "";
    assert.match(found, sentence);
    assert.ok(!found.includes("\n") && !found.endsWith("."));
  }
});

test("a smaller lab needs fewer inotify instances", () => {
  const machine = { ...FIT, freeInotifyInstances: 20 };
  assert.equal(findUnfit(machine, { clusters: ["solo"], nodesPerCluster: 1 }), undefined);
});

test("kernel versions are compared as numbers", () => {
  assert.ok(kernelAtLeast("6.1.0", 6, 1));
  assert.ok(kernelAtLeast("10.0-rc1", 6, 1));
  assert.ok(!kernelAtLeast("5.15.0-generic", 6, 1));
});
