import assert from "node:assert/strict";
import { test } from "node:test";
import { openNetlink } from "@isthmus/bpf";
import { makeNetns } from "@isthmus/bpf/testing";
import { formatAddress, systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { until } from "@isthmus/testing";
import { followHostAddresses } from "./host-addresses.js";
import type { NetworkListener } from "./network/network-changes.js";

test("the addresses of all devices are the node's, but for those that never leave it and ClusterIPs", async (t) => {
  const netns = makeNetns(t);
  netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "docker0");
  netns.ip("link", "add", "kube-ipvs0", "type", "veth", "peer", "name", "other0");
  netns.ip("addr", "add", "172.18.0.1/16", "dev", "eth0");
  netns.ip("addr", "add", "172.17.0.1/16", "dev", "docker0");
  netns.ip("addr", "add", "10.96.0.10/32", "dev", "kube-ipvs0");
  netns.ip("addr", "add", "169.254.7.7/16", "dev", "other0");
  const seen: string[] = [];
  const listeners: NetworkListener[] = [];
  const controller = new AbortController();
  t.after(() => controller.abort());
  await followHostAddresses({
    openNetlink: () => openNetlink(netns.path),
    changes: { subscribe: (listener) => void listeners.push(listener) },
    log: silentLogger,
    clock: systemClock,
    signal: controller.signal,
    set: (addresses) => void seen.push(addresses.map(formatAddress).sort().join()),
  });
  assert.deepEqual(seen, ["172.17.0.1,172.18.0.1"]);
  netns.ip("addr", "add", "172.18.0.9/32", "dev", "eth0");
  const acted = listeners.map((listener) => listener([{ kind: "address", gone: false, linkLocal: false }]));
  assert.deepEqual(acted, [true]);
  await until("the new address", () => seen.length === 2);
  assert.equal(seen[1], "172.17.0.1,172.18.0.1,172.18.0.9");
  assert.deepEqual(
    listeners.map((listener) => listener([])),
    [false],
  );
});
