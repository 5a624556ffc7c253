import assert from "node:assert/strict";
import { test } from "node:test";
import { DiffPoliciesResponse, type FlipIdentity, PeerState, PolicyAction, PolicyDirection } from "@isthmus/proto";
import { json } from "../output/json.js";
import { golden } from "../testing/golden.js";
import { diffJson, diffText } from "./render-diff.js";

const policy = (name: string, kind = "NetworkPolicy") => ({ kind, namespace: "shop", name });
const open = {};
const isolated = { isolating: [policy("web")] };
const rule = (name: string, path: string, kind?: string) => ({ rules: [{ policy: policy(name, kind), path }] });
const pods = (
  number: number,
  cluster: string,
  labels: Readonly<Record<string, string>>,
  more: Partial<FlipIdentity> = {},
) => ({
  number,
  labels: [
    { key: "io.cilium.k8s.policy.cluster", value: cluster },
    { key: "io.kubernetes.pod.namespace", value: "shop" },
    ...Object.entries(labels).map(([key, value]) => ({ key, value })),
  ],
  ...more,
});
const reserved = (number: number, name: string, prefix = "") => ({
  number,
  labels: [{ key: `reserved:${name}`, value: "" }],
  prefix,
});

const WEB = {
  identities: [pods(1048832, "east", { app: "web" })],
  pods: ["east/shop/web-1", "east/shop/web-2"],
  morePods: 7,
};
const FLIPS = DiffPoliciesResponse.fromPartial({
  policies: [
    { policy: policy("web"), action: PolicyAction.POLICY_ACTION_CREATE, pods: 9 },
    { policy: policy("nobody"), action: PolicyAction.POLICY_ACTION_CHANGE },
    { policy: policy("same"), action: PolicyAction.POLICY_ACTION_KEEP },
    {
      policy: { ...policy("wall", "CiliumClusterwideNetworkPolicy"), namespace: "" },
      action: PolicyAction.POLICY_ACTION_DELETE,
      pods: 1,
    },
  ],
  denied: { ingressPairs: 10003n, egressPairs: 1n, moreFlips: 3 },
  allowed: { egressPairs: 2n },
  flips: [
    {
      direction: PolicyDirection.POLICY_DIRECTION_INGRESS,
      subjects: WEB,
      peers: {
        identities: [
          reserved(2, "world"),
          { number: 2097155, cluster: "west" },
          pods(2097408, "west", { tier: "front", run: "a" }, { moreLabels: 3 }),
        ],
        moreIdentities: 9_999,
        pods: ["west/shop/client"],
        others: true,
      },
      ports: [{ first: 0, last: 65535, before: open, after: isolated }],
    },
    {
      direction: PolicyDirection.POLICY_DIRECTION_INGRESS,
      subjects: WEB,
      peers: { identities: [pods(1048833, "east", { app: "api" })], pods: ["east/shop/api"] },
      ports: [
        { protocol: 1, first: 8 << 8, last: (8 << 8) | 255, before: rule("old", "spec.ingress[0]"), after: isolated },
        { protocol: 6, first: 0, last: 79, before: open, after: isolated },
        { protocol: 6, first: 443, last: 443, before: open, after: { ...isolated, moreIsolating: 2 } },
        { protocol: 6, first: 8000, last: 8100, before: open, after: isolated },
        { protocol: 17, first: 0, last: 65535, before: open, after: isolated },
        { protocol: 0, except: [1, 6, 17], first: 0, last: 65535, before: open, after: isolated },
      ],
      morePorts: 4,
    },
    {
      direction: PolicyDirection.POLICY_DIRECTION_EGRESS,
      subjects: { ...WEB, auditedPods: 2 },
      peers: { identities: [reserved(0, "world", "203.0.113.0/24")] },
      ports: [
        {
          protocol: 47,
          first: 0,
          last: 65535,
          before: open,
          after: rule("deny", "spec.egressDeny[0]", "CiliumNetworkPolicy"),
        },
      ],
    },
    {
      direction: PolicyDirection.POLICY_DIRECTION_EGRESS,
      allowed: true,
      subjects: WEB,
      peers: { identities: [reserved(6, "remote-node"), reserved(0, "remote-node", "192.0.2.0/24")] },
      ports: [{ protocol: 6, first: 80, last: 80, before: isolated, after: rule("web", "spec.egress[1]") }],
    },
  ],
});

const NONE = DiffPoliciesResponse.fromPartial({
  policies: [{ policy: policy("same"), action: PolicyAction.POLICY_ACTION_KEEP }],
  denied: {},
  allowed: {},
});

const REFUSED = DiffPoliciesResponse.fromPartial({
  policies: [
    {
      policy: policy("gone"),
      action: PolicyAction.POLICY_ACTION_DELETE,
      findings: ["The cluster has no NetworkPolicy shop/gone: see mesh policy list"],
    },
    {
      policy: policy("bad"),
      action: PolicyAction.POLICY_ACTION_CREATE,
      findings: [
        'Field "spec.ingres" is not supported: remove it; supported here: podSelector, ingress',
        'Field "spec.podSelector" must be an object, not absent',
      ],
    },
    { policy: policy("good"), action: PolicyAction.POLICY_ACTION_CREATE },
  ],
});

test("the text has what breaks first, with the reasons and examples, and says what is cut", () => {
  golden("policy-diff", diffText(FLIPS));
});

test("JSON has the same content", () => {
  golden("policy-diff-json", json(diffJson(FLIPS)));
});

test("without a difference the text says so", () => {
  golden("policy-diff-none", diffText(NONE));
});

test("clusters whose identities may be missing are named, with and without a difference", () => {
  const incomplete = [
    { cluster: "west", state: PeerState.PEER_STATE_STALE },
    { cluster: "north", state: PeerState.PEER_STATE_IN_SYNC },
  ];
  golden("policy-diff-incomplete", diffText({ ...NONE, incomplete }));
  const changed = { ...FLIPS, incomplete };
  assert.ok(diffText(changed).endsWith(diffText({ ...NONE, incomplete }).split("do now\n")[1] ?? "-"));
  assert.deepEqual((diffJson(changed) as { incomplete: unknown }).incomplete, [
    { cluster: "west", state: "Stale" },
    { cluster: "north", state: "InSync" },
  ]);
});

test("findings are shown for each policy, and nothing else", () => {
  golden("policy-diff-refused", diffText(REFUSED));
});
