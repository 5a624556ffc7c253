import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusResponse } from "@isthmus/proto";
import { assess } from "./assess.js";
import type { ClusterView } from "./collect.js";
import { membersOf } from "./members.js";

function shown(context: string, cluster: string, peers: readonly string[] = [], answers = true): ClusterView {
  return {
    ...{ context, cluster, id: 1, uid: `uid-${cluster}` },
    peers: peers.map((name) => ({ name, id: 2 })),
    ...(answers ? { report: StatusResponse.fromPartial({ cluster }) } : { problem: { message: "refused", fix: "" } }),
  };
}

const dark = (context: string): ClusterView => ({
  ...{ context, cluster: context, peers: [] },
  problem: { message: "Cannot GET: connection refused", fix: "look" },
});

const outcome = (looks: readonly ClusterView[], named = false) => {
  const { views, ignored } = membersOf(looks, named);
  return [views.map(({ context }) => context).join(), ignored.map(({ subject }) => subject).join()];
};

test("two contexts of one cluster are merged, with the view whose apiserver answered", () => {
  assert.deepEqual(outcome([shown("east", "east"), shown("east2", "east"), shown("west", "west")]), ["east,west", ""]);
  assert.deepEqual(outcome([shown("east", "east", [], false), shown("east2", "east")]), ["east2", ""]);
});

test("an unreadable context is ignored when the others have no missing peer", () => {
  const pair = [shown("a", "east", ["west"]), shown("b", "west", ["east"])];
  assert.deepEqual(outcome([...pair, dark("old")]), ["a,b", "old"]);
  assert.deepEqual(outcome([shown("a", "east"), dark("old")]), ["a", "old"]);
});

test("an unreadable context counts as a member when no context has a peer, or when no other context is readable", () => {
  const east = shown("a", "east", ["west"]);
  assert.deepEqual(outcome([east, dark("arn:of:west"), dark("old")]), ["a,arn:of:west,old", ""]);
  assert.deepEqual(outcome([dark("a"), dark("b")]), ["a,b", ""]);
});

test("of several unreadable contexts, the one with the name of the missing peer is the member", () => {
  assert.deepEqual(outcome([shown("a", "east", ["west"]), dark("west"), dark("old")]), ["a,west", "old"]);
});

test("a context that was named on the command line is a member", () => {
  assert.deepEqual(outcome([shown("a", "east"), dark("old")], true), ["a,old", ""]);
});

test("a cluster without the mesh is left out, unless it was named on the command line: then it is a failure", () => {
  const bare: ClusterView = { ...dark("bare"), noMesh: true };
  assert.deepEqual(outcome([shown("a", "east"), bare]), ["a", ""]);
  assert.deepEqual(outcome([shown("a", "east"), bare], true), ["a,bare", ""]);
  const { ok, hops, findings } = assess([shown("a", "east"), bare], { named: true });
  const about = findings.filter(({ subject }) => subject === "bare").map(({ status }) => status);
  assert.deepEqual([ok, about, hops.some(({ to }) => to === "bare")], [false, ["fail"], false]);
});

test("a cluster with several MeshClusters is a member", () => {
  assert.deepEqual(outcome([shown("a", "east"), { ...dark("b"), misinstalled: true }]), ["a,b", ""]);
});
