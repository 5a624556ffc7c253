import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshPeer } from "@isthmus/kube";
import { readPeers } from "./peers.js";

const peer = (name: string, created: string, spec: Partial<MeshPeer["spec"]> = {}): MeshPeer => ({
  metadata: { name, creationTimestamp: created },
  spec: { id: 2, podCIDRs: ["10.12.0.0/16"], serviceCIDRs: ["10.97.0.0/16"], uid: "u", ...spec },
});

test("the oldest object comes first, whatever the order of the list", () => {
  const objects = [
    peer("a", "2026-11-20T10:00:02Z"),
    peer("c", "2026-11-20T10:00:01Z"),
    peer("b", "2026-11-20T10:00:01Z"),
  ];
  for (const order of [objects, [...objects].reverse()])
    assert.deepEqual([...readPeers(order).usable.keys()], ["b", "c", "a"]);
});

test("a peer that cannot be parsed is refused alone", () => {
  const { usable, refused } = readPeers([
    peer("west", "1", { podCIDRs: ["10.12.0.1/16"] }),
    peer("north", "1", { id: 3 }),
  ]);
  assert.deepEqual([...usable.keys()], ["north"]);
  assert.match(refused.get("west") ?? "", /Cannot use peer "west": .*10\.12\.0\.1\/16/);
});

test("a known peer stays as it was when its object becomes unreadable", () => {
  const { usable } = readPeers([peer("west", "1")]);
  const again = readPeers([peer("west", "1", { id: 5000 })], usable);
  assert.equal(again.usable.get("west" as never)?.id, 2);
  assert.equal(again.refused.size, 1);
});
