/** `mesh connect` stops before it writes; apps/mesh tests the rest of the command. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MESH_PEERS } from "@isthmus/kube";
import { claimKey } from "@isthmus/kvstore";
import { parseClusterId } from "@isthmus/model";
import { ClusterClaim } from "@isthmus/proto";
import { withOwner } from "../store-access.js";
import type { TestClusters } from "../world.js";

interface Answer {
  readonly changed: boolean;
  readonly changes: readonly { readonly action: string; readonly done: boolean }[];
  readonly findings: readonly { readonly status: string; readonly message: string; readonly fix?: string }[];
}

export function connectTests(at: () => TestClusters): void {
  test("a dry run prints what would be written and writes nothing", async () => {
    const { east, mesh } = at();
    const ran = await mesh("connect", "east", "west", "--dry-run", "-o", "json");
    assert.equal(ran.code, 0, ran.err);
    const { changed, changes } = JSON.parse(ran.out) as Answer;
    assert.equal(changed, false);
    assert.deepEqual(new Set(changes.map(({ action, done }) => `${action} ${done}`)), new Set(["create false"]));
    assert.deepEqual(await east.client.list(MESH_PEERS), []);
  });

  test("an id that another cluster has claimed stops connect with a sentence and a fix", async () => {
    const { lab, west, mesh } = at();
    const key = claimKey(parseClusterId(west.plan.id));
    const claim = ClusterClaim.encode({ name: "north", uid: "another" }).finish();
    await withOwner(lab, (store) => store.txn([], [{ type: "put", key, value: claim }]));
    const ran = await mesh("connect", "east", "west", "-o", "json");
    await withOwner(lab, (store) => store.txn([], [{ type: "delete", key }]));
    assert.equal(ran.code, 1, ran.err);
    const { changes, findings } = JSON.parse(ran.out) as Answer;
    assert.deepEqual(changes, []);
    const failed = findings.filter(({ status }) => status === "fail");
    assert.deepEqual(
      failed.map(({ message }) => message),
      [`id ${west.plan.id} is claimed in the store by cluster "north"`],
    );
    assert.match(failed[0]?.fix ?? "", /remove its claim/);
    assert.deepEqual(await west.client.list(MESH_PEERS), []);
  });

  test("after connect, each cluster follows the other", async () => {
    const { mesh } = at();
    const connected = await mesh("connect", "east", "west");
    assert.equal(connected.code, 0, connected.err);
    const waited = await mesh("status", "--wait", "--timeout", "60s");
    assert.equal(waited.code, 0, waited.err);
  });
}
