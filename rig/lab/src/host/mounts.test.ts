import assert from "node:assert/strict";
import { test } from "node:test";
import { cgroupHierarchies, parseControllers, parseMounts } from "./mounts.js";

const CONTROLLERS = parseControllers("#subsys_name\thierarchy\nmemory\t4\ncpu\t1\ncpuacct\t1\ncpuset\t3\n");

test("a hybrid host has v1 hierarchies, a named one, and cgroup2", () => {
  const mounts = parseMounts(
    [
      "tmpfs /sys/fs/cgroup tmpfs rw 0 0",
      "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,relatime,cpu,cpuacct 0 0",
      "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0",
      "cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0",
      "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0",
      "cgroup /elsewhere/memory cgroup rw,memory 0 0",
    ].join("\n"),
  );
  assert.deepEqual(cgroupHierarchies(mounts, CONTROLLERS), [
    { mount: "/sys/fs/cgroup/cpu,cpuacct", version: 1, mountOptions: "cpu,cpuacct" },
    { mount: "/sys/fs/cgroup/memory", version: 1, mountOptions: "memory" },
    { mount: "/sys/fs/cgroup/systemd", version: 1, mountOptions: "none,name=systemd" },
    { mount: "/sys/fs/cgroup/unified", version: 2, mountOptions: "" },
  ]);
});

test("a host with v2 only has one hierarchy", () => {
  const mounts = parseMounts("cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n");
  assert.deepEqual(cgroupHierarchies(mounts, CONTROLLERS), [{ mount: "/sys/fs/cgroup", version: 2, mountOptions: "" }]);
});

test("octal escapes of spaces in a mount point are decoded", () => {
  assert.equal(parseMounts("x /a\\040b ext4 rw 0 0")[0]?.target, "/a b");
});
