/** Ownership of addresses in any order of claims, updates, releases and limits, compared with a simple model. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "@isthmus/model";
import type { HashedRecord } from "@isthmus/records";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import { type AddressClaims, type Claimant, createAddressClaims, LOCAL } from "./address-claims.js";
import { type Admission, createAdmission } from "./admission.js";
import { limitsOf, type PeerSpec } from "./peer.js";
import { reviewOnChange } from "./review-queue.js";
import { node, LOCAL as OWN_CLUSTER, peer } from "./testing/fixture.js";

const [A, B] = [parseAddress("192.168.0.1"), parseAddress("192.168.0.2")];

/** Returns a function that lists the records reported since its last call, as `cluster/key`. */
function listen(claims: AddressClaims): () => readonly string[] {
  let reported: Claimant[] = [];
  claims.onChange((concerned) => reported.push(...concerned));
  return () => {
    const texts = reported.map(({ cluster, key }) => `${cluster}/${key}`).sort();
    reported = [];
    return texts;
  };
}

test("the first claimant owns an address while one of its records claims it; then the next claimant does", () => {
  const claims = createAddressClaims();
  const reported = listen(claims);
  claims.set(1, "nodes/a", [A]);
  claims.set(2, "nodes/b", [A]);
  claims.set(1, "nodes/c", [A]);
  claims.set(1, "nodes/a", []);
  assert.deepEqual([claims.owner(A), reported()], [1, []], "a second record of the owner claims it");
  claims.set(1, "nodes/c", []);
  assert.deepEqual([claims.owner(A), reported()], [2, ["2/nodes/b"]]);
  claims.set(2, "nodes/b", []);
  assert.deepEqual([claims.owner(A), reported()], [undefined, []]);
});

test("the local cluster owns an address while it claims it, whichever claim came first", () => {
  const claims = createAddressClaims();
  const reported = listen(claims);
  claims.set(1, "nodes/a", [A]);
  claims.set(2, "nodes/b", [A]);
  claims.set(LOCAL, "nodes/mine", [A]);
  assert.deepEqual([claims.owner(A), reported()], [LOCAL, ["1/nodes/a"]]);
  claims.set(LOCAL, "nodes/mine", []);
  assert.deepEqual([claims.owner(A), reported()], [1, ["1/nodes/a"]]);
});

test("an update never releases what it still claims, and reports only addresses whose owner changed", () => {
  const claims = createAddressClaims();
  const reported = listen(claims);
  claims.set(1, "nodes/a", [A, B]);
  claims.set(2, "nodes/b", [A]);
  claims.set(3, "nodes/c", [B]);
  claims.set(1, "nodes/a", [A, B]);
  assert.deepEqual([claims.owner(A), claims.owner(B), reported()], [1, 1, []]);
  claims.set(1, "nodes/a", [A]);
  assert.deepEqual([claims.owner(A), claims.owner(B), reported()], [1, 3, ["3/nodes/c"]]);
});

/** Admissions of three peers that share one table of claims. The test runs the reviews; judgements are counted. */
function createModel() {
  const peers = [peer("west", 1), peer("north", 2), peer("south", 3)];
  const claims = createAddressClaims();
  const admissions = new Map(peers.map((each) => [each.id as number, createAdmission(limits(each, false), claims)]));
  const records = new Map<number, Map<string, HashedRecord>>(peers.map(({ id }) => [id, new Map()]));
  const reviews: (() => void)[] = [];
  const model = { judgements: 0, reviews };
  const narrow = new Set<number>();

  function limits(each: PeerSpec, isNarrow: boolean) {
    const podCidrs = isNarrow ? [parsePrefix("172.31.0.0/24")] : each.podCidrs;
    return { ...limitsOf(each, OWN_CLUSTER, peers), podCidrs };
  }
  function judge(id: number, record: HashedRecord | undefined): void {
    if (record === undefined) return;
    model.judgements++;
    admissions.get(id)?.judge(record);
  }
  reviewOnChange(
    claims,
    (id, keys) => {
      for (const key of keys) judge(id, records.get(id)?.get(key));
    },
    (run) => reviews.push(run),
  );
  return {
    ...model,
    get judgements() {
      return model.judgements;
    },
    claims,
    admissions: admissions as ReadonlyMap<number, Admission>,
    records,
    narrow,
    put(id: number, record: HashedRecord): void {
      records.get(id)?.set(record.key, record);
      judge(id, record);
    },
    remove(id: number, key: string): void {
      records.get(id)?.delete(key);
      admissions.get(id)?.forget(key);
    },
    setNarrow(id: number, isNarrow: boolean): void {
      if (isNarrow) narrow.add(id);
      else narrow.delete(id);
      const each = peers.find((one) => one.id === id);
      if (each !== undefined) admissions.get(id)?.setLimits(limits(each, isNarrow));
      for (const record of records.get(id)?.values() ?? []) judge(id, record);
    },
    review(): void {
      for (const run of reviews.splice(0)) run();
    },
  };
}

const ADDRESSES = ["192.168.0.1", "192.168.0.2", "192.168.0.3", "192.168.0.4"];
const addresses = fc.subarray(ADDRESSES, { minLength: 1 });
const name = fc.constantFrom("a", "b", "c");
const id = fc.integer({ min: 1, max: 3 });
const act = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("put" as const), id, name, addresses, zone: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("remove" as const), id, name }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("limits" as const), id, narrow: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("own" as const), name, addresses: fc.subarray(ADDRESSES) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("review" as const) }) },
);

test("any order of claims, updates, releases and limits ends as a fresh start with the same order of claimants", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const mesh = createModel();
      /** Claims by record, `id/name`; the local cluster's too. */
      const named = new Map<string, readonly string[]>();
      /** By address the clusters that claim it, in the order of their first claim that is still valid. */
      const order = new Map<string, number[]>(ADDRESSES.map((address) => [address, []]));
      const settle = (): void => {
        for (const [address, clusters] of order) {
          const now = [...named]
            .filter(([key, all]) => fits(key) && all.includes(address))
            .map(([key]) => +(key[0] ?? ""));
          const left = clusters.filter((cluster) => now.includes(cluster));
          order.set(address, [...left, ...new Set(now.filter((cluster) => !left.includes(cluster)))]);
        }
      };
      const fits = (key: string): boolean => !mesh.narrow.has(+(key[0] ?? ""));
      const ownerOf = (address: string): number | undefined => {
        const clusters = order.get(address) ?? [];
        return clusters.includes(LOCAL) ? LOCAL : clusters[0];
      };
      const check = (): void => {
        for (const address of ADDRESSES)
          assert.equal(mesh.claims.owner(parseAddress(address)), ownerOf(address), address);
        for (const [key, all] of named) {
          const [cluster, record] = [+(key[0] ?? ""), `nodes/${key.slice(2)}`];
          const taken = fits(key) && all.every((address) => ownerOf(address) === cluster);
          if (cluster !== LOCAL) assert.equal(mesh.admissions.get(cluster)?.isAccepted(record), taken, key);
        }
      };
      for (const each of acts) {
        const before = mesh.judgements;
        const waiting = named.size;
        if (each.type === "put") {
          mesh.put(each.id, node(each.id, each.name, each.addresses, `zone-${each.zone}`));
          named.set(`${each.id}/${each.name}`, each.addresses);
          assert.equal(mesh.judgements, before + 1);
        } else if (each.type === "remove") {
          mesh.remove(each.id, `nodes/${each.name}`);
          named.delete(`${each.id}/${each.name}`);
        } else if (each.type === "limits") mesh.setNarrow(each.id, each.narrow);
        else if (each.type === "own") {
          mesh.claims.set(
            LOCAL,
            `nodes/${each.name}`,
            each.addresses.map((text) => parseAddress(text)),
          );
          named.set(`${LOCAL}/${each.name}`, each.addresses);
        } else {
          mesh.review();
          assert.ok(mesh.judgements - before <= waiting, "each record at most once");
          assert.deepEqual(mesh.reviews, [], "a review causes no further review");
          check();
        }
        settle();
      }
      mesh.review();
      assert.deepEqual(mesh.reviews, []);
      check();
      for (const [cluster, all] of mesh.records) for (const record of all.values()) mesh.put(cluster, record);
      assert.deepEqual(mesh.reviews, [], "another judgement changes nothing");
      check();
    }),
    fastCheckOptions(300),
  );
});

test("a change of owner judges only the records that claim the address, however many records there are", () => {
  const mesh = createModel();
  for (let i = 0; i < 500; i++) {
    mesh.put(1, node(1, `w${i}`, `192.168.${4 + (i >> 8)}.${i & 255}`));
    mesh.put(2, node(2, `n${i}`, `192.168.${8 + (i >> 8)}.${i & 255}`));
  }
  mesh.put(1, node(1, "west-1", "192.168.0.1"));
  mesh.put(2, node(2, "north-1", "192.168.0.1"));
  const before = mesh.judgements;
  mesh.put(1, node(1, "west-1", "192.168.0.1", "zone-b"));
  mesh.review();
  assert.equal(mesh.judgements - before, 1, "the update itself");
  mesh.remove(1, "nodes/west-1");
  mesh.review();
  assert.equal(mesh.judgements - before, 2, "and the one record whose claim waited");
  assert.ok(mesh.admissions.get(2)?.isAccepted("nodes/north-1"));
});
