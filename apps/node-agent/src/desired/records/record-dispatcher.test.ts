import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import type { Slices } from "@isthmus/runtime";
import { makeNode, makeService, makeSlice } from "@isthmus/testing";
import type { Builder } from "./builder.js";
import type { RecordDelta } from "./record-delta.js";
import { createRecordDispatcher } from "./record-dispatcher.js";

/** Builders of these kinds, and everything that they are given, in order. */
function rig(...builderKinds: readonly (readonly Kind[])[]) {
  const log: string[] = [];
  const builders = builderKinds.map(
    (kinds, i): Builder => ({
      kinds,
      upsert(clusterId, { key }) {
        if (key.includes("bad")) throw new Error("Cannot decode it");
        log.push(`${i} upsert ${clusterId} ${key}`);
      },
      remove: (clusterId, { key }) => void log.push(`${i} remove ${clusterId} ${key}`),
      *beginSync(clusterId, records) {
        yield;
        log.push(`${i} sync ${clusterId} of ${records.length}`);
      },
      *afterUpserts(_, inSync) {
        yield;
        log.push(`${i} after [${[...inSync].join()}]`);
      },
      *removeCluster(clusterId) {
        yield;
        log.push(`${i} cluster ${clusterId} removed`);
      },
    }),
  );
  const refuse = (clusterId: number, key: string) => void log.push(`refused ${clusterId} ${key}`);
  const dispatcher = createRecordDispatcher({ builders, localClusterId: 1, refuse });
  return { log, dispatcher };
}

function delta(clusterId: number, upserts: readonly HashedRecord[], rest: Partial<RecordDelta> = {}): RecordDelta {
  return { clusterId, upserts, deletes: [], transition: "none", ...rest };
}

function whole(work: Slices<void>): void {
  while (work.next().done !== true);
}

test("each record goes to the builder of its kind, upserts in the order of kinds, deletions after them in reverse", () => {
  const { log, dispatcher } = rig([Kind.KIND_SERVICE, Kind.KIND_SLICE], [Kind.KIND_NODE]);
  const gone = [makeNode("n2", "172.18.0.2", "10.2.0.0/24"), makeService("a/b")].map(({ kind, key }) => ({
    kind,
    key,
  }));
  const records = [
    makeSlice("a/a", { ready: [], slice: "s" }),
    makeService("a/a"),
    makeNode("n1", "172.18.0.1", "10.1.0.0/24"),
  ];
  whole(dispatcher.take([delta(0, records, { deletes: gone })]));
  assert.deepEqual(log, [
    ...["1 upsert 1 nodes/n1", "0 upsert 1 services/a/a", "0 upsert 1 slices/a/a/s"],
    ...["0 after []", "1 after []"],
    ...["0 remove 1 services/a/b", "1 remove 1 nodes/n2"],
  ]);
});

test("a record that cannot be read is refused, one of a kind without a builder ignored, and the others are taken", () => {
  const { log, dispatcher } = rig([Kind.KIND_SERVICE]);
  whole(
    dispatcher.take([
      delta(2, [makeService("a/bad"), makeNode("n1", "172.18.0.1", "10.1.0.0/24"), makeService("a/good")]),
    ]),
  );
  assert.deepEqual(log, ["refused 2 services/a/bad", "0 upsert 2 services/a/good", "0 after []"]);
});

test("two builders of one kind each get its records, also when the first cannot read one", () => {
  const { log, dispatcher } = rig([Kind.KIND_SERVICE], [Kind.KIND_NODE, Kind.KIND_SERVICE]);
  const gone = [makeService("a/b")].map(({ kind, key }) => ({ kind, key }));
  whole(dispatcher.take([delta(2, [makeService("a/a"), makeService("a/bad")], { deletes: gone })]));
  assert.deepEqual(log, [
    ...["0 upsert 2 services/a/a", "1 upsert 2 services/a/a"],
    ...["refused 2 services/a/bad", "refused 2 services/a/bad"],
    ...["0 after []", "1 after []"],
    ...["0 remove 2 services/a/b", "1 remove 2 services/a/b"],
  ]);
});

test("every builder learns that a cluster is in sync for the first time, and when it is removed", () => {
  const { log, dispatcher } = rig([Kind.KIND_SERVICE], [Kind.KIND_NODE]);
  whole(dispatcher.take([delta(2, [makeService("a/a")], { transition: "first" })]));
  assert.deepEqual(log.splice(0), [
    ...["0 sync 2 of 1", "1 sync 2 of 1", "0 upsert 2 services/a/a", "0 after [2]", "1 after [2]"],
  ]);
  whole(dispatcher.take([delta(2, [makeService("a/b")]), delta(2, [], { transition: "removed" })]));
  assert.deepEqual(log, ["0 cluster 2 removed", "1 cluster 2 removed", "0 after []", "1 after []"]);
  assert.deepEqual([...dispatcher.clustersInSync], []);
});
