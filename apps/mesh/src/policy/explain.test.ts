/** `mesh policy explain`: what is printed, and what counts as allowed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { EventIdentity, MonitorState } from "@isthmus/proto";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { explanationJson } from "./explain-json.js";
import { explanationText } from "./explain-text.js";
import { differences, type Explanation, isAllowed, mapsAgree, verdictOf } from "./explanation.js";
import { CLIENT, egress, explanation, ingress, MAPS, OF_CLIENT, POLICY, RULES } from "./testing/answers.js";

const ALLOWED = explanation(egress(), ingress());

/** Node w1 still has the policy before the rule. */
const STALE = explanation(
  egress(),
  ingress({
    maps: { ...MAPS, ...{ allowed: false, rule: 0, rules: [] }, port: { found: false } },
    unapplied: [{ cluster: "west", appliedRevision: 41n, revision: 44n, keys: ["policies/networkpolicies/shop/web"] }],
  }),
);

/** Node w1 has the policy before, because its agent cannot read the present one. */
const REFUSED = explanation(
  egress(),
  ingress({
    maps: { ...MAPS, ...{ allowed: false, rule: 0, rules: [] }, port: { found: false } },
    refused: ["web", "api", "db", "pay"].map(
      (name) => `Cannot enforce policy "policies/networkpolicies/shop/${name}": no room`,
    ),
  }),
);

const NO_RULE = { allowed: false, rule: 0, rules: [], selecting: [{ policy: POLICY, isolates: true }] };
const DENIED = explanation(
  egress({
    policies: { ...NO_RULE, selecting: [{ policy: { ...POLICY, name: "out" }, isolates: true }] },
    maps: {
      ...{ endpoint: 3, identity: OF_CLIENT.number, set: 4, revision: 6, allowed: false },
      other: { identity: (2 << 20) | 3, prefix: "10.2.0.0/16", exactOnly: true },
      peer: { ownRow: false, allPorts: true, allow: false },
    },
    other: { identity: EventIdentity.fromPartial({ number: (2 << 20) | 3 }) },
  }),
  ingress({ node: { node: "w1", state: MonitorState.MONITOR_STATE_NOT_CONNECTED }, maps: undefined }),
);

const AUDITED = explanation(
  egress(),
  ingress({
    policies: { ...NO_RULE, audited: true },
    maps: { ...MAPS, ...{ allowed: false, audited: true, rule: 0, rules: [] }, port: { found: false } },
  }),
);

const WORLD: Explanation = {
  ...{ source: CLIENT, protocol: 17, port: 53, missing: undefined },
  destination: { cluster: "", namespace: "", pod: "", address: parseAddress("203.0.113.53") },
  views: [
    egress({
      other: {
        identity: EventIdentity.fromPartial({ labels: [{ key: "reserved:world" }], prefix: "203.0.113.0/24" }),
      },
      policies: {
        ...{
          allowed: false,
          rule: 8,
          selecting: [{ policy: { ...POLICY, kind: "CiliumNetworkPolicy" }, isolates: true }],
        },
        rules: [{ policy: { ...POLICY, kind: "CiliumNetworkPolicy" }, path: "spec.egressDeny[0]" }],
      },
      maps: {
        ...{ endpoint: 3, identity: OF_CLIENT.number, set: 4, revision: 6, allowed: false, rule: 8 },
        other: { identity: 4293918976, prefix: "203.0.113.0/24" },
        otherIdentity: EventIdentity.fromPartial({ labels: [{ key: "reserved:world" }], prefix: "203.0.113.0/24" }),
        peer: { ownRow: true, allPorts: true, allow: false, number: 8 },
        rules: [{ policy: { ...POLICY, kind: "CiliumNetworkPolicy" }, path: "spec.egressDeny[0]" }],
      },
    }),
  ],
};

test("the verdict first, then each end with its policies and the entries of the maps", () => {
  const all = { ALLOWED, STALE, REFUSED, DENIED, WORLD, AUDITED };
  golden(
    "policy-explain",
    Object.entries(all)
      .map(([name, one]) => `${name}\n${explanationText(one)}`)
      .join("\n"),
  );
});

test("JSON has the same content", () => {
  golden(
    "policy-explain-json",
    json({ explanations: [ALLOWED, STALE, REFUSED, DENIED, WORLD, AUDITED].map(explanationJson) }),
  );
});

test("it is allowed when both ends allow it, and both nodes' maps say so, too", () => {
  const said = (one: Explanation) => [verdictOf(one).verdict, mapsAgree(one), isAllowed(one)];
  assert.deepEqual(said(ALLOWED), ["allowed", true, true]);
  assert.deepEqual(said(STALE), ["allowed", false, false]);
  assert.deepEqual(said(DENIED), ["denied", undefined, false]);
  assert.deepEqual(said(WORLD), ["denied", true, false]);
  assert.deepEqual(said(AUDITED), ["audited", true, false]);
  assert.deepEqual(said(explanation(egress({ policies: undefined }), ingress())), ["unknown", true, false]);
  assert.deepEqual(said({ ...ALLOWED, views: [egress()], missing: "no context" }), ["unknown", true, false]);
  assert.deepEqual(said(explanation()), ["allowed", true, true], "a pod and itself");
  const older = { node: "w1", state: MonitorState.MONITOR_STATE_NO_QUERIES };
  assert.deepEqual(said(explanation(egress(), ingress({ node: older, maps: undefined }))), [
    "allowed",
    undefined,
    false,
  ]);
});

test("each point in which maps are not what the policies say is named", () => {
  const points = (maps: object) => differences(ingress({ maps: { ...MAPS, ...maps } }));
  assert.deepEqual(points({}), []);
  assert.match(points({ endpoint: 0 }).join(), /no row for the pod/);
  assert.match(points({ identity: 9 }).join(), /give the pod identity 9, its record 2097408/);
  assert.match(points({ audited: true }).join(), /^the pod is in audit mode in the maps and not by its record$/);
  assert.match(points({ allowed: false }).join(), /^the maps deny it, the policies allow it$/);
  assert.match(
    points({ rule: 78, rules: [{ ...RULES[0], path: "spec.ingress[1]" }] }).join(),
    /^the rule in the maps is NetworkPolicy shop\/web spec\.ingress\[1\], that of the policies NetworkPolicy shop\/web spec\.ingress\[0\]$/,
  );
  assert.match(
    points({ other: { identity: 2 }, otherIdentity: { number: 2, labels: [{ key: "reserved:world" }] } }).join(),
    /^the maps give the other end identity 2: reserved:world, records identity 1048832: namespace shop, app=client, cluster east$/,
  );
  // The number of one node says nothing: labels and prefix count.
  const ofBlock = (prefix: string) => EventIdentity.fromPartial({ labels: [{ key: "reserved:world" }], prefix });
  const view = (prefix: string) =>
    ingress({
      other: { identity: ofBlock("10.9.0.0/16") },
      maps: { ...MAPS, other: { identity: 4293918977 }, otherIdentity: { ...ofBlock(prefix), number: 4293918977 } },
    });
  assert.deepEqual(differences(view("10.9.0.0/16")), []);
  assert.equal(differences(view("10.0.0.0/8")).length, 1);
});

test("what other clusters and nodes say stays on its line", () => {
  const evil = "web\n\u001b[2Jallowed";
  const text = explanationText(
    explanation(
      egress(),
      ingress({ policies: { ...NO_RULE, selecting: [{ policy: { ...POLICY, name: evil }, isolates: true }] } }),
    ),
  );
  assert.ok(!text.includes("\u001b") && !text.includes("\nallowed"), text);
});
