/**
 * Random histories of pods, namespaces and MeshIdentity objects, flushed at random moments.
 *
 * After each flush every endpoint has the record of its identity, in the cluster as well as in what is exported, and readers
 * accept all that is exported. In the end, when each label set has its number, the records are those of a fresh start.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { Endpoint } from "@isthmus/proto";
import { type HashedRecord, validateRecord } from "@isthmus/records";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import { createTestIdentities, identityLabels, LOCAL, POD_CIDRS, type TestPod } from "../testing/test-identities.js";

const LIMITS = { ...LOCAL, podCidrs: POD_CIDRS, excludedCidrs: [] };
const APPS = ["web", "api", "db"] as const;
const NAMESPACES = ["shop", "bank"] as const;
const TEAMS = ["a", "b"] as const;
const ADDRESSES = ["10.11.1.5", "10.11.1.6", "10.12.0.5"] as const;
/** Each label set that a pod can have; each has two numbers that objects may have. */
const SETS = APPS.flatMap((app) =>
  NAMESPACES.flatMap((namespace) => TEAMS.map((team) => identityLabels(app, { namespace, team }))),
);

const name = fc.constantFrom("p0", "p1", "p2", "p3");
const namespace = fc.constantFrom(...NAMESPACES);
const pod: fc.Arbitrary<TestPod> = fc.record(
  {
    ...{ name, namespace },
    uid: fc.constantFrom("u0", "u1"),
    labels: fc.constantFrom(...APPS).map((app) => ({ app })),
    address: fc.constantFrom(...ADDRESSES),
    reported: fc.constantFrom(...ADDRESSES),
    phase: fc.constantFrom("Pending", "Running", "Running", "Failed"),
    created: fc.constantFrom("2026-11-30T09:00:00Z", "2026-11-30T09:00:01Z"),
    deleted: fc.boolean(),
  },
  { requiredKeys: ["name", "namespace", "uid", "labels"] },
);
const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("pod" as const), pod }) },
  fc.record({ type: fc.constant("gone" as const), name, namespace }),
  fc.record({
    ...{ type: fc.constant("namespace" as const), namespace, team: fc.constantFrom(...TEAMS) },
    global: fc.constantFrom(undefined, "true", "false"),
  }),
  fc.record({ type: fc.constant("identity" as const), number: fc.nat(2 * SETS.length - 1), isReleased: fc.boolean() }),
  fc.record({ type: fc.constant("no identity" as const), number: fc.nat(2 * SETS.length - 1) }),
  fc.record({ type: fc.constant("flush" as const) }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
type Table = ReturnType<typeof createTestIdentities>;

const labelsOf = (number: number): Record<string, string> => SETS[number % SETS.length] ?? {};

function apply(table: Table, one: Change): void {
  if (one.type === "pod") table.pod(one.pod);
  else if (one.type === "gone") table.gone(`${one.namespace}/${one.name}`);
  else if (one.type === "namespace") table.namespace(one.namespace, { team: one.team }, one.global);
  else if (one.type === "identity")
    table.identity(one.number, labelsOf(one.number), one.isReleased ? "2026-11-30T10:00:00Z" : undefined);
  else if (one.type === "no identity") table.noIdentity(one.number, labelsOf(one.number));
  else flush(table);
}

function flush(table: Table): void {
  table.flush();
  for (const records of [table.own, table.exported])
    for (const { key, value } of records.values()) {
      if (!key.startsWith("endpoints/")) continue;
      assert.ok(records.has(`identities/${Endpoint.decode(value).identity}`), `${key} without its identity`);
    }
  for (const record of table.exported.values()) assert.deepEqual(validateRecord(record, LIMITS), { ok: true });
}

/** The last change of each object; one that is gone has none. */
function lastOf(changes: readonly Change[]): readonly Change[] {
  const last = new Map<string, Change>();
  for (const one of changes) {
    if (one.type === "pod") last.set(`pod ${one.pod.namespace}/${one.pod.name}`, one);
    else if (one.type === "gone") last.delete(`pod ${one.namespace}/${one.name}`);
    else if (one.type === "namespace") last.set(`namespace ${one.namespace}`, one);
    else if (one.type === "identity") last.set(`identity ${one.number}`, one);
    else if (one.type === "no identity") last.delete(`identity ${one.number}`);
  }
  return [...last.values()];
}

const texts = (records: ReadonlyMap<string, HashedRecord>) =>
  [...records.values()].map(({ key, hash }) => `${key} ${Buffer.from(hash).toString("hex")}`).sort();

test("no endpoint is without its identity at any time, and the end is that of a fresh start in any order", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), fc.infiniteStream(fc.nat()), (history, random) => {
      // In the end each set that a pod can have has a number.
      const numbers: Change[] = SETS.map((_, number) => ({ type: "identity", number, isReleased: false }));
      const changes = [...history, ...numbers];
      const table = createTestIdentities();
      for (const one of changes) apply(table, one);
      flush(table);
      const fresh = createTestIdentities();
      const shuffled = lastOf(changes)
        .map((one) => ({ one, at: random.next().value }))
        .sort((a, b) => a.at - b.at);
      for (const { one } of shuffled) apply(fresh, one);
      flush(fresh);
      assert.deepEqual(texts(table.own), texts(fresh.own));
      assert.deepEqual(texts(table.exported), texts(fresh.exported));
      for (const address of ADDRESSES) {
        const owner = table.at(address).split(" ")[0];
        const owners = NAMESPACES.filter((each) => table.table.owns(`${each}/${owner}`, parseAddress(address)));
        if (owner !== "none") assert.ok(owners.length >= 1);
      }
    }),
    fastCheckOptions(500),
  );
});
