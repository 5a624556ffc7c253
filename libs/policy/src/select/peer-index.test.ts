import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@isthmus/model";
import fc from "fast-check";
import { blockSelects, createBlock } from "../model/address-block.js";
import { type Peer, peerText } from "../model/policy.js";
import { createSelector, type Requirement, selects } from "../model/selector.js";
import { createPeerIndex, type Matchable } from "./peer-index.js";

const key = fc.constantFrom("app", "tier", "zone");
const value = fc.constantFrom("a", "b", "");
const prefix = fc
  .constantFrom("10.0.0.0/8", "10.0.0.0/24", "10.0.0.4/30", "10.0.0.4/32", "0.0.0.0/0", "::/0", "fd00::/16")
  .map(parsePrefix);

const requirement: fc.Arbitrary<Requirement> = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom("In" as const, "NotIn" as const),
    values: fc.array(value, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ key, operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const) }),
);

const peer: fc.Arbitrary<Peer> = fc.oneof(
  fc.array(requirement, { maxLength: 3 }).map((all): Peer => ({ kind: "labels", selector: createSelector(all) })),
  fc.tuple(prefix, fc.array(prefix, { maxLength: 2 }), fc.array(requirement, { maxLength: 1 })).map(
    ([cidr, except, its]): Peer => ({
      kind: "block",
      block: createBlock(cidr, except),
      selector: createSelector(its),
    }),
  ),
);

const identity: fc.Arbitrary<Matchable> = fc
  .tuple(fc.dictionary(key, value), fc.option(prefix))
  .map(([labels, its]) => ({ labels: new Map(Object.entries(labels)), ...(its === null ? {} : { prefix: its }) }));

test("the index finds just the peers that match, whatever was added and deleted before", () => {
  const changes = fc.array(fc.record({ peer, isAdded: fc.boolean() }), { maxLength: 30 });
  fc.assert(
    fc.property(changes, fc.array(identity, { minLength: 1, maxLength: 5 }), (all, identities) => {
      const index = createPeerIndex<string>();
      const peers = new Map<string, Peer>();
      for (const { peer: one, isAdded } of all) {
        const text = peerText(one);
        if (isAdded === peers.has(text)) continue;
        if (isAdded) {
          peers.set(text, one);
          index.add(one, text);
        } else {
          peers.delete(text);
          index.delete(one);
        }
      }
      for (const one of identities) {
        const wanted = [...peers].filter(([, its]) => isMatch(its, one)).map(([text]) => text);
        assert.deepEqual(index.matching(one).sort(), wanted.sort());
      }
    }),
  );
});

function isMatch(one: Peer, { labels, prefix: its }: Matchable): boolean {
  const isInside = one.kind === "labels" || (its !== undefined && blockSelects(one.block, its));
  return isInside && selects(one.selector, labels);
}

test("an identity that matches a selector by one of many values is found without asking other selectors", () => {
  const index = createPeerIndex<number>();
  let asked = 0;
  for (let i = 0; i < 1000; i++) {
    const selector = createSelector([
      { key: "cluster", operator: "In", values: ["east"] },
      { key: "app", operator: "In", values: [`app-${i}`] },
    ]);
    const counted = {
      text: selector.text,
      get requirements() {
        asked++;
        return selector.requirements;
      },
    };
    index.add({ kind: "labels", selector: counted }, i);
  }
  asked = 0;
  const labels = new Map([
    ["cluster", "east"],
    ["app", "app-7"],
    ["tier", "front"],
  ]);
  assert.deepEqual(index.matching({ labels }), [7]);
  assert.ok(asked <= 3, `${asked} selectors were asked`);
});
