import assert from "node:assert/strict";
import { cpuUsage } from "node:process";
import { test } from "node:test";
import { type IdentityNumber, reservedIdentity } from "@isthmus/identity";
import type { Policy } from "../model/policy.js";
import type { Identity } from "../resolve/peer-registry.js";
import type { TestSpec } from "../testing/mesh.js";
import { acceptedCiliumPolicy, acceptedPolicy, localNumber, podLabels } from "../testing/node.js";
import { diffPolicies, type PolicyDiff, type PolicyDiffInput } from "./diff-policies.js";
import type { Decision, VerdictFlip } from "./flip-list.js";

const [HOST, REMOTE_NODE] = [reservedIdentity("host"), reservedIdentity("remote-node")];

/** Of app `a0`, `a1`, … in namespace `shop`, and nodes. */
function identities(count: number): Map<IdentityNumber, Identity> {
  const pods = Array.from({ length: count }, (_, i): readonly [IdentityNumber, Identity] => {
    const pod = { name: "", cluster: "east", namespace: "shop", labels: { app: `a${i}` }, address: "", ports: [] };
    return [localNumber(256 + i), { labels: podLabels({ namespaces: {}, pods: [], outside: [], policies: [] }, pod) }];
  });
  const nodes = [
    [HOST, { labels: new Map([["reserved:host", ""]]) }],
    [REMOTE_NODE, { labels: new Map([["reserved:remote-node", ""]]) }],
  ] as const;
  return new Map([...nodes, ...pods]);
}

const policy = (name: string, spec: TestSpec): Policy =>
  acceptedPolicy({ metadata: { namespace: "shop", name }, spec });
const app = (name: string) => ({ matchLabels: { app: name } });
const from = (...names: readonly string[]) => names.map((name) => ({ podSelector: app(name) }));

function diff(input: Partial<PolicyDiffInput>, pods = 3): PolicyDiff {
  const its = identities(pods);
  const subjects = new Map(Array.from({ length: pods }, (_, i) => [`a${i}`, { identity: localNumber(256 + i) }]));
  const peers = new Set(its.keys());
  const work = diffPolicies({ identities: its, peers, subjects, before: [], after: [], mostFlips: 100, ...input });
  let step = work.next();
  while (step.done !== true) step = work.next();
  return step.value;
}

const ruleText = ({ rules, isolatedBy }: Decision) =>
  [...rules.map((one) => `${one.policy} ${one.path}`), ...isolatedBy.map((one) => `isolated by ${one}`)].join(", ") ||
  "open";

/** `ingress a0 <> 257 others: 6:80-80 (RULE -> RULE)`, `!1,6` for all protocols but some. */
function lines({ flips }: { readonly flips: readonly VerdictFlip[] }): readonly string[] {
  return flips.map(({ direction, subjects, peers, others, ports }) => {
    const its = ports.map(({ protocol, except, first, last, before, after }) => {
      const range = protocol === undefined ? `!${except.join(",")}` : `${protocol}:${first}-${last}`;
      return `${range} (${ruleText(before)} -> ${ruleText(after)})`;
    });
    return `${direction} ${subjects.join(",")} <> ${peers.join(",")}${others ? " others" : ""}: ${its.join("; ")}`;
  });
}

const [A0, A1, A2] = [localNumber(256), localNumber(257), localNumber(258)];

test("the first policy that isolates a pod denies it what no rule allows, except to its own node", () => {
  const after = [policy("web", { podSelector: app("a0"), ingress: [{ from: from("a1"), ports: [{ port: 80 }] }] })];
  const { denied, allowed } = diff({ after });
  const closed = "open -> isolated by NetworkPolicy shop/web";
  assert.deepEqual(lines(denied), [
    `ingress a0 <> ${REMOTE_NODE},${A0},${A2} others: ! (${closed})`,
    `ingress a0 <> ${A1}: 6:0-79 (${closed}); 6:81-65535 (${closed}); !6 (${closed})`,
  ]);
  assert.deepEqual(denied.pairs, { ingress: 4, egress: 0 });
  assert.deepEqual(allowed, { flips: [], more: 0, pairs: { ingress: 0, egress: 0 } });
});

test("a policy that goes opens what it denied, and the rule that comes in place of another is named", () => {
  const both = policy("both", { podSelector: app("a0"), ingress: [{ from: from("a1"), ports: [{ port: 80 }] }] });
  const other = policy("both", { podSelector: app("a0"), ingress: [{}, { from: from("a2") }] });
  const opened = lines(diff({ before: [both], after: [] }).allowed);
  assert.equal(opened[1]?.split("; ").at(-1), "!6 (isolated by NetworkPolicy shop/both -> open)");
  const { denied, allowed } = diff({ before: [other], after: [both] });
  const rule = "NetworkPolicy shop/both spec.ingress[0] -> isolated by NetworkPolicy shop/both";
  assert.deepEqual(lines(denied), [
    `ingress a0 <> ${REMOTE_NODE},${A0},${A2} others: ! (${rule})`,
    `ingress a0 <> ${A1}: 6:0-79 (${rule}); 6:81-65535 (${rule}); !6 (${rule})`,
  ]);
  assert.deepEqual(allowed.flips, []);
});

test("rules of one direction split no pairs of the other one", () => {
  const peers = { from: from("a1"), ports: [{ port: 80 }] };
  const web = policy("web", { podSelector: app("a0"), policyTypes: ["Ingress", "Egress"], ingress: [peers] });
  const { flips } = diff({ after: [web] }).denied;
  assert.deepEqual(
    flips.map(({ direction, peers }) => [direction, peers]),
    [
      ["ingress", [REMOTE_NODE, A0, A2]],
      ["ingress", [A1]],
      ["egress", [HOST, REMOTE_NODE, A0, A1, A2]],
    ],
  );
});

test("what is written differently and means the same is no difference, nor what another policy says anyway", () => {
  const web = policy("web", { podSelector: app("a0"), ingress: [{ from: from("a1", "a2") }] });
  const again = policy("web", { podSelector: app("a0"), ingress: [{ from: from("a2") }, { from: from("a1") }] });
  const wide = policy("wide", { podSelector: {}, ingress: [{}] });
  for (const input of [
    { before: [web], after: [again] },
    { before: [web, wide], after: [wide] },
    { before: [wide], after: [wide, policy("nobody", { podSelector: app("none"), ingress: [] })] },
  ]) {
    const { denied, allowed } = diff(input);
    assert.deepEqual([denied.flips, allowed.flips], [[], []]);
  }
});

test("a deny of one protocol flips that protocol, and ICMP by its types", () => {
  const deny = (protocol: "TCP" | "ANY") =>
    acceptedCiliumPolicy({
      metadata: { namespace: "shop", name: "deny" },
      spec: {
        endpointSelector: app("a0"),
        enableDefaultDeny: { ingress: false, egress: false },
        egressDeny: [{ toEndpoints: [app("a1")], toPorts: [{ ports: [{ port: "443", protocol }] }] }],
      },
    });
  const rule = "open -> CiliumNetworkPolicy shop/deny spec.egressDeny[0]";
  assert.deepEqual(lines(diff({ after: [deny("TCP")] }).denied), [`egress a0 <> ${A1}: 6:443-443 (${rule})`]);
  const ports = ["6", "17", "132"].map((protocol) => `${protocol}:443-443 (${rule})`);
  assert.deepEqual(lines(diff({ after: [deny("ANY")] }).denied), [`egress a0 <> ${A1}: ${ports.join("; ")}`]);
});

test("subjects of different policies that flip alike are one, and flips above the bound are counted", () => {
  const open = (name: string) => policy(name, { podSelector: app(name), ingress: [{}] });
  const wall = policy("wall", { podSelector: {}, ingress: [], policyTypes: ["Ingress"] });
  const one = diff({ before: [open("a1")], after: [wall] });
  assert.deepEqual(
    lines(one.denied).map((line) => line.split(" <> ")[0]),
    ["ingress a0,a2", "ingress a1"],
  );
  const fewer = diff({ before: [open("a1")], after: [wall], mostFlips: 1 });
  assert.deepEqual([fewer.denied.flips.length, fewer.denied.more], [1, 1]);
  assert.deepEqual(fewer.denied.pairs, one.denied.pairs);
  // Their egress is open under different sets of policies, and is closed alike.
  const closed = policy("closed", { podSelector: {}, egress: [], policyTypes: ["Egress"] });
  const merged = diff({ before: [open("a1")], after: [open("a1"), closed] });
  assert.deepEqual(
    lines(merged.denied).map((line) => line.split(" <> ")[0]),
    ["egress a0,a1,a2"],
  );
});

test("what the policies select that come, go or change is reported, and identities that nothing has are no peers", () => {
  const stays = policy("stays", { podSelector: {}, ingress: [{}] });
  const before = [stays, policy("goes", { podSelector: {} }), policy("web", { podSelector: app("a0") })];
  const web = policy("web", { podSelector: app("a1"), policyTypes: ["Egress"] });
  const { denied, selected } = diff({ before, after: [stays, web], peers: new Set([A2]) });
  assert.deepEqual(
    [...selected].map(([key, numbers]) => [key, [...numbers]]),
    [
      ["NetworkPolicy shop/goes", [A0, A1, A2]],
      ["NetworkPolicy shop/web", [A1]],
    ],
  );
  assert.deepEqual(lines(denied), [`egress a1 <> ${A2} others: ! (open -> isolated by NetworkPolicy shop/web)`]);
});

test("pods of one identity with different ports of one name have their own flips", () => {
  const http = (port: number) => [{ name: "http", protocol: 6, port }];
  const subjects = new Map([
    ["low", { identity: localNumber(256), ports: http(80) }],
    ["high", { identity: localNumber(256), ports: http(8080) }],
  ]);
  const allow = (...ports: readonly object[]) =>
    policy("web", { podSelector: app("a0"), ingress: [{ from: from("a1"), ports: ports as [] }] });
  const { denied } = diff({
    subjects,
    before: [allow({ port: "http" }, { port: 443 })],
    after: [allow({ port: 443 })],
  });
  assert.deepEqual(
    lines(denied)
      .map((line) => line.replace(/ \(.*/, ""))
      .sort(),
    [`ingress high <> ${A1}: 6:8080-8080`, `ingress low <> ${A1}: 6:80-80`],
  );
});

test("10,000 identities and 500 policies are compared in short slices", (t) => {
  const count = 10_000;
  const policies = Array.from({ length: 500 }, (_, i) =>
    policy(`p${i}`, {
      podSelector: { matchExpressions: [{ key: "app", operator: "In", values: [`a${i}`, `a${i + 500}`] }] },
      ingress: [{ from: from(`a${i + 1}`, `a${i + 2}`), ports: [{ port: 80 }] }],
    }),
  );
  const wall = policy("wall", { podSelector: {}, policyTypes: ["Ingress"] });
  const subjects = new Map(Array.from({ length: count }, (_, i) => [`a${i}`, { identity: localNumber(256 + i) }]));
  const its = identities(count);
  const input = { identities: its, peers: new Set(its.keys()), subjects, mostFlips: 100 };
  const work = diffPolicies({ ...input, before: policies, after: [...policies, wall] });
  const times: number[] = [];
  for (;;) {
    const began = cpuUsage();
    const step = work.next();
    const { user, system } = cpuUsage(began);
    times.push((user + system) / 1000);
    if (step.done !== true) continue;
    // Each of the 9,000 that no policy isolates before, with all but its own node.
    assert.deepEqual(step.value.denied.pairs, { ingress: 9_000 * (count + 1), egress: 0 });
    break;
  }
  const [total, longest] = [times.reduce((sum, ms) => sum + ms, 0), Math.max(...times)];
  t.diagnostic(
    `${total.toFixed(0)} ms of processor time in ${times.length} slices, the longest ${longest.toFixed(1)} ms`,
  );
  assert.ok(total < 3_000 && longest < 300, `${total} ms, ${longest} ms`);
});
