import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterAddresses, labAddresses, MAX_LABS, macOf, nodeAddress } from "./addresses.js";

test("all addresses of all labs are distinct", () => {
  const seen = new Set<string>();
  const add = (address: string) => {
    assert.ok(!seen.has(address), address);
    seen.add(address);
  };
  for (let index = 0; index < MAX_LABS; index++) {
    const { root, store } = labAddresses(index);
    add(root);
    add(store);
    for (let cluster = 1; cluster <= 16; cluster++) {
      add(clusterAddresses(index, cluster).apiAddress);
      for (let node = 1; node <= 16; node++) add(nodeAddress(index, cluster, node));
    }
  }
});

test("pod and service ranges of a lab's clusters are disjoint", () => {
  const ranges = Array.from({ length: 16 }, (_, n) => clusterAddresses(0, n + 1));
  const all = ranges.flatMap(({ podCidr, serviceCidr }) => [podCidr, serviceCidr]);
  assert.equal(new Set(all).size, 32);
  assert.deepEqual(clusterAddresses(3, 2), {
    apiAddress: "10.203.0.2",
    podCidr: "10.12.0.0/16",
    serviceCidr: "10.97.0.0/16",
    kubernetesServiceAddress: "10.97.0.1",
    dnsServiceAddress: "10.97.0.10",
  });
});

test("a hardware address is local, unicast and contains the IPv4 address", () => {
  assert.equal(macOf("10.200.1.16"), "02:00:0a:c8:01:10");
});
