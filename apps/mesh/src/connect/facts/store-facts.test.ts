/** Reads the claims of a real store: an unreadable one does not hide the others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createStore } from "@isthmus/kvstore";
import { startEtcd } from "@isthmus/kvstore/testing";
import { ClusterClaim } from "@isthmus/proto";
import { readClaims } from "./store-facts.js";

test("a claim that is unreadable or too long still counts as a claim; the others are read", async (t) => {
  const etcd = await startEtcd();
  const store = createStore(await etcd.options("root"));
  t.after(async () => {
    store.close();
    await etcd.close();
  });
  const values = {
    7: Buffer.from(ClusterClaim.encode({ name: "east", uid: "uid-east" }).finish()),
    8: Buffer.alloc(10, 0xff),
    9: Buffer.from(ClusterClaim.encode({ name: "w".repeat(500_000), uid: "" }).finish()),
  };
  for (const [id, value] of Object.entries(values))
    await store.txn([], [{ type: "put", key: `/mesh/v1/ids/${id}`, value }]);
  assert.deepEqual(
    [...(await readClaims(store))],
    [
      [7, { name: "east", uid: "uid-east" }],
      [8, undefined],
      [9, undefined],
    ],
  );
});
