import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@isthmus/model";
import { createAddressClaims } from "./address-claims.js";
import { createAdmission } from "./admission.js";
import { limitsOf, refusalOf } from "./peer.js";
import { createSkew } from "./skew.js";
import { LOCAL, node, peer, slice } from "./testing/fixture.js";

const [east, west] = [peer("east", 1), peer("west", 2)];
const both = [east, west];

test("current refusals are counted by reason, and end with their record", () => {
  const admission = createAdmission(limitsOf(east, LOCAL, both), createAddressClaims());
  assert.ok(admission.judge(slice(1, 1)).ok);
  for (const i of [2, 3]) assert.ok(!admission.judge(slice(7, i)).ok);
  assert.ok(!admission.judge({ ...slice(2, 4) }).ok);
  assert.deepEqual(
    admission.refused().map(({ reason, count }) => [reason, count]),
    [
      ["address-of-another-cluster", 1],
      ["address-outside-cidr", 2],
    ],
  );
  admission.judge(slice(1, 2));
  admission.forget(slice(7, 3).key);
  admission.forget(slice(2, 4).key);
  assert.deepEqual(admission.refused(), []);
  assert.ok(admission.isAccepted(slice(1, 2).key));
});

test("two peers claim one node address: the second is refused until the first releases it", () => {
  const claims = createAddressClaims();
  const [first, second] = both.map((each) => createAdmission(limitsOf(each, LOCAL, both), claims));
  assert.ok(first?.judge(node(1, "a", "192.168.0.1")).ok);
  assert.ok(!second?.judge(node(2, "b", "192.168.0.1")).ok);
  first?.forget("nodes/a");
  assert.ok(second?.judge(node(2, "b", "192.168.0.1")).ok);
});

test("where CIDRs of peers overlap the first claimant keeps them; the local cluster's are never a peer's", () => {
  const wide = { ...west, podCidrs: [parsePrefix("10.0.0.0/8")] };
  const peers = [east, wide];
  const take = (who: typeof east, of: number) =>
    createAdmission(limitsOf(who, LOCAL, peers), createAddressClaims()).judge(slice(of, 1)).ok;
  assert.ok(take(east, 1));
  assert.ok(!take(wide, 1));
  assert.ok(take(wide, 2));
  assert.ok(!take(wide, 99));
});

test("a peer with the local cluster's name or id or an earlier peer's id is not followed", () => {
  assert.equal(refusalOf(east, LOCAL, both), undefined);
  assert.match(refusalOf({ ...east, id: LOCAL.id }, LOCAL, both) ?? "", /its id 99 is this cluster's own/);
  assert.match(refusalOf({ ...east, cluster: LOCAL.cluster }, LOCAL, both) ?? "", /this cluster's own name/);
  const twin = { ...west, id: east.id };
  assert.match(refusalOf(twin, LOCAL, [east, twin]) ?? "", /already that of cluster "east"/);
});

test("skew is the smallest difference; within the store's delay it is 0", () => {
  const skew = createSkew();
  assert.equal(skew.micros, 0);
  for (const delay of [3_000, 900_000, 1_500]) skew.add(1_000_000, 1_000_000 + delay);
  assert.equal(skew.micros, 0);
  const ahead = createSkew();
  for (const delay of [4_000, 2_000, 700_000]) ahead.add(10_000_000, 5_000_000 + delay);
  assert.equal(ahead.micros, -4_998_000);
});
