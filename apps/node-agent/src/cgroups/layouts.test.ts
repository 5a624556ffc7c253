import assert from "node:assert/strict";
import { test } from "node:test";
import { covers, KNOWN_CGROUPS, pathOf } from "./layouts.js";

test("a pod's cgroup, as runtimes name it, is found in its layout", () => {
  for (const [named, cgroup] of [
    ["/kubepods/besteffort/pod1-2", "kubepods"],
    ["/kubepods/pod1-2", "kubepods"],
    ["kubepods-burstable-pod1_2.slice", "kubepods.slice"],
    ["/kubepods.slice/kubepods-pod1_2.slice", "kubepods.slice"],
    ["/kubelet/kubepods/burstable/pod1-2", "kubelet/kubepods"],
    ["kubelet-kubepods-burstable-pod1_2.slice", "kubelet.slice/kubelet-kubepods.slice"],
    ["/custom/kubepods/pod1", undefined],
    ["custom-kubepods-pod1.slice", undefined],
    ["/kubepods-other/pod1", undefined],
  ] as const) {
    assert.equal(
      KNOWN_CGROUPS.find((each) => covers(each, pathOf(named))),
      cgroup,
      named,
    );
  }
  assert.equal(pathOf("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice");
});

test("no layout is inside another one", () => {
  for (const a of KNOWN_CGROUPS) for (const b of KNOWN_CGROUPS) assert.equal(covers(a, b), a === b, `${a} ${b}`);
});
