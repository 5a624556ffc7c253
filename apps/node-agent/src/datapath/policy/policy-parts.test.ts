/** What the parts of policy write, and what they leave alone, on an in-memory kernel. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpcacheRow, KnownIdentity, PodPolicyWord } from "@isthmus/bpf";
import { type MeshError, TCP } from "@isthmus/model";
import type { Policy } from "@isthmus/policy";
import { createMemoryKernel, Killed, SMALL_KERNEL, SMALL_PACKETS, type Write } from "@isthmus/testing";
import { viewPolicy } from "./testing/decide.js";
import {
  createInputs,
  key,
  LOCAL,
  networkPolicy,
  numberOf,
  type PolicyAgent,
  startAgent,
} from "./testing/policy-node.js";

const [A, B, C, FAR] = ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.9.0.1"].map(key) as [string, string, string, string];
const from = (...apps: readonly string[]) => ({ from: apps.map((app) => ({ podSelector: { matchLabels: { app } } })) });
const allowing = (name: string, app: string, ...apps: readonly string[]): Policy =>
  networkPolicy(name, { podSelector: { matchLabels: { app } }, ingress: [from(...apps)] });
const onPort = (name: string, app: string, port: number): Policy =>
  networkPolicy(name, { podSelector: { matchLabels: { app } }, ingress: [{ ports: [{ port }] }] });

/** Pods A, B and C of `app` a, b and c, with addresses in a range of pods. */
async function setUp(packets: Partial<typeof SMALL_PACKETS> = {}) {
  const kernel = createMemoryKernel({ ...SMALL_KERNEL, packets: { ...SMALL_PACKETS, ...packets } });
  const inputs = createInputs();
  inputs.prefixes.set("10.1.0.0/16", "exact");
  for (const [i, address] of [A, B, C].entries()) {
    inputs.addresses.set(address, i);
    inputs.pods.add(address);
  }
  let now = 0;
  const start = async (): Promise<PolicyAgent> => {
    const port = { ...kernel.open(), applyGracePeriod: async () => undefined };
    const agent = await startAgent(port, inputs, () => now);
    for (const pod of inputs.pods) if (agent.pods.policyOf(pod) === undefined) agent.pods.add(pod, 0n);
    return agent;
  };
  const writes: Write[] = [];
  kernel.log.onWrite((write) => writes.push(write));
  return {
    ...{ kernel, inputs, start },
    pass(ms: number): void {
      now += ms;
    },
    /** Writes since the last call. */
    takeWrites: () => writes.splice(0).map(({ map, what }) => `${what} ${map}`),
  };
}

const wordOf = (agent: PolicyAgent, pod: string) => PodPolicyWord.fromWord(agent.pods.policyOf(pod)?.word ?? 0n);
const rowsOf = (agent: PolicyAgent) => viewPolicy(agent.port).counts;

/** Whether TCP to port 80 of the pod passes, for the i-th identity. */
const receives = (agent: PolicyAgent, pod: string, i: number): boolean =>
  viewPolicy(agent.port).allows(agent.pods.policyOf(pod)?.word ?? 0n, {
    ...{ direction: "ingress", identity: numberOf(i), protocol: TCP, port: 80 },
  });

test("a pod that no policy selects needs no rows; its word names no set", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  assert.deepEqual(rowsOf(agent), { sets: 1, peers: 1, ports: 0, addresses: 3, prefixes: 1 });
  // The first revision comes with the set, the second one with the prefix: addresses had other identities before it.
  assert.deepEqual(
    [wordOf(agent, A), wordOf(agent, B)],
    [
      { set: 0, audit: 0, revision: 0 },
      { set: 1, audit: 0, revision: 2 },
    ],
  );
  assert.equal(agent.pods.policyOf(A)?.identity, numberOf(0));
});

test("a node that begins to enforce policies drops nothing that they allow", async () => {
  const { kernel, inputs, start } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  let looks = 0;
  kernel.log.onWrite(() => {
    const view = viewPolicy(agent.port);
    const query = { direction: "ingress", identity: view.identityOf(A), protocol: TCP, port: 80 } as const;
    assert.equal(view.allows(agent.pods.policyOf(B)?.word ?? 0n, query), true);
    looks++;
  });
  await agent.update();
  assert.ok(looks > 5);
  assert.deepEqual([receives(agent, B, 0), receives(agent, B, 2)], [true, false]);
});

test("a pod is ready when its word and its own identity are in the maps", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  agent.flush();
  assert.equal(agent.parts.isReady(B), false);
  await agent.apply();
  assert.equal(agent.parts.isReady(B), true);
  inputs.policies.set("p", allowing("p", "b", "a"));
  agent.flush();
  assert.deepEqual([agent.parts.isReady(A), agent.parts.isReady(B)], [true, false]);
  await agent.apply();
  assert.equal(agent.parts.isReady(B), true);
  agent.pods.remove(B);
  assert.equal(agent.parts.isReady(B), false);
});

test("audit mode begins with one store, and ends with another revision, also when another agent begins or ends it", async () => {
  const { inputs, start, takeWrites } = await setUp();
  let agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  const enforced = wordOf(agent, B);
  takeWrites();
  inputs.audited.add(A).add(B);
  agent.flush();
  assert.deepEqual([agent.parts.isReady(A), agent.parts.isReady(B)], [true, false]);
  await agent.apply();
  assert.equal(agent.parts.isReady(B), true);
  assert.deepEqual(takeWrites(), ["word mesh_endpoints_v1", "word mesh_endpoints_v1"]);
  assert.deepEqual(wordOf(agent, B), { ...enforced, audit: 1 });
  assert.equal(wordOf(agent, A).audit, 0, "no policy selects it");
  assert.equal(receives(agent, B, 2), true);

  await agent.settled();
  agent = await start();
  await agent.update();
  assert.deepEqual(takeWrites(), []);
  inputs.audited.clear();
  await agent.update();
  const again = wordOf(agent, B);
  assert.deepEqual([again.set, again.audit, receives(agent, B, 2)], [enforced.set, 0, false]);
  assert.ok(again.revision > enforced.revision);

  await agent.settled();
  inputs.audited.add(B);
  agent = await start();
  await agent.update();
  assert.deepEqual([wordOf(agent, B).set, wordOf(agent, B).audit], [enforced.set, 1]);
  await agent.settled();
  const audited = wordOf(agent, B);
  inputs.audited.clear();
  agent = await start();
  await agent.update();
  assert.deepEqual([wordOf(agent, B).set, wordOf(agent, B).audit], [enforced.set, 0]);
  assert.ok(wordOf(agent, B).revision > audited.revision);
});

test("another policy of a pod in audit mode, and another identity of an address, leave it in the mode", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  inputs.audited.add(B);
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  const first = wordOf(agent, B);
  assert.equal(first.audit, 1);
  inputs.policies.set("p", allowing("p", "b", "c"));
  await agent.update();
  const second = wordOf(agent, B);
  assert.deepEqual([second.audit, second.set !== first.set, second.revision > first.revision], [1, true, true]);
  inputs.addresses.set(FAR, 2);
  await agent.update();
  inputs.addresses.set(FAR, 0);
  await agent.update();
  assert.deepEqual([wordOf(agent, B).audit, wordOf(agent, B).revision > second.revision], [1, true]);
});

test("a row of a pod that comes after its policy is known gets it with the next apply, also one of another pod", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  const { set, revision } = wordOf(agent, B);
  agent.pods.remove(B);
  agent.pods.add(B, 0n);
  await agent.apply();
  assert.equal(wordOf(agent, B).set, set);
  assert.ok(wordOf(agent, B).revision > revision);
});

test("a row of a set in place costs its write, and it is there before an address has the identity and until none has", async () => {
  const { inputs, start, takeWrites } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  const word = wordOf(agent, B);
  takeWrites();
  inputs.addresses.set(FAR, 3);
  await agent.update();
  assert.deepEqual(takeWrites(), [
    "insert mesh_policy_peers_v1",
    "word mesh_policy_sets_v1",
    "insert mesh_ipcache_v1",
    "word mesh_policy_sets_v1",
  ]);
  assert.deepEqual(wordOf(agent, B), word);
  inputs.addresses.delete(FAR);
  await agent.update();
  assert.deepEqual(
    takeWrites().filter((write) => write.startsWith("delete")),
    ["delete mesh_ipcache_v1", "delete mesh_policy_peers_v1"],
  );
});

test("a row of a set stays as long as an address has the identity, also when that cannot be deleted", async () => {
  const { kernel, inputs, start } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  inputs.addresses.set(FAR, 3);
  await agent.update();
  inputs.addresses.delete(FAR);
  const refuse = new Error("The kernel refused the write");
  kernel.log.failWhen(({ map, what }) => (what === "delete" && map.startsWith("mesh_ipcache") ? refuse : undefined));
  await agent.update();
  assert.deepEqual([viewPolicy(agent.port).identityOf(FAR), rowsOf(agent).peers], [numberOf(3), 2]);
  kernel.log.failWhen(undefined);
  await agent.apply();
  assert.deepEqual([viewPolicy(agent.port).identityOf(FAR), rowsOf(agent).peers], [KnownIdentity.World, 1]);
});

test("a row of a set goes a grace period after the last address with the identity", async () => {
  const { kernel, inputs } = await setUp();
  const seen: (readonly [identity: number, peers: number])[] = [];
  const port = kernel.open();
  const look = () => [viewPolicy(port.policy).identityOf(FAR), viewPolicy(port.policy).counts.peers] as const;
  const agent = await startAgent({ ...port, applyGracePeriod: async () => void seen.push(look()) }, inputs);
  agent.pods.add(B, 0n);
  inputs.policies.set("p", allowing("p", "b", "a"));
  inputs.addresses.set(FAR, 3);
  await agent.update();
  assert.deepEqual([seen, look()], [[], [numberOf(3), 2]]);
  inputs.addresses.delete(FAR);
  await agent.update();
  assert.deepEqual([seen, look()], [[[KnownIdentity.World, 2]], [KnownIdentity.World, 1]]);
});

test("a row that was left of an identity says nothing when an address gets the identity again under another policy", async () => {
  const { kernel, inputs, start } = await setUp();
  const agent = await start();
  const allowingIdentities = (...indexes: readonly string[]): Policy => {
    const peers = indexes.map((i) => ({ podSelector: { matchLabels: { i } } }));
    return networkPolicy("p", { podSelector: { matchLabels: { app: "b" } }, ingress: [{ from: peers }] });
  };
  inputs.policies.set("p", allowingIdentities("0", "3"));
  inputs.addresses.set(FAR, 3);
  await agent.update();
  inputs.addresses.delete(FAR);
  kernel.log.onWrite(
    ({ map, what }) => what === "delete" && map.startsWith("mesh_ipcache") && kernel.log.killBefore(0),
  );
  await assert.rejects(agent.update(), Killed);
  kernel.log.onWrite(undefined);
  inputs.policies.set("p", allowingIdentities("0"));
  inputs.addresses.set(FAR, 3);
  const next = await start();
  await next.update();
  await next.settled();
  assert.deepEqual([receives(next, B, 0), receives(next, B, 3), rowsOf(next).peers], [true, false, 1]);
});

test("a wider policy keeps the revision, a narrower one and one after none get another", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  const revision = async (...policies: readonly Policy[]): Promise<number> => {
    inputs.policies.clear();
    for (const policy of policies) inputs.policies.set(policy.name, policy);
    await agent.update();
    return wordOf(agent, B).revision;
  };
  const first = await revision(allowing("p", "b", "a"));
  assert.equal(await revision(allowing("p", "b", "a", "c")), first);
  const narrower = await revision(allowing("p", "b", "c"));
  assert.ok(narrower > first);
  assert.equal(await revision(), narrower);
  assert.ok((await revision(allowing("p", "b", "c"))) > narrower);
});

test("no revision is used twice: not by another process, and not after its pods are gone", async () => {
  const { inputs, start } = await setUp();
  let agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  const { revision } = wordOf(agent, B);
  for (const pod of [...inputs.pods]) agent.pods.remove(pod);
  inputs.pods.clear();
  await agent.update();
  await agent.settled();
  agent = await start();
  inputs.pods.add(B);
  agent.pods.add(B, 0n);
  await agent.update();
  assert.ok(wordOf(agent, B).revision > revision);
});

test("an address that gets another identity bumps the pods that may allow less of it, and no others", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a")).set("q", allowing("q", "c", "a", "b"));
  inputs.addresses.set(FAR, 3);
  await agent.update();
  const before = [B, C].map((pod) => wordOf(agent, pod).revision);
  inputs.addresses.set(FAR, 0);
  await agent.update();
  assert.deepEqual(
    [B, C].map((pod) => wordOf(agent, pod).revision),
    before,
  );
  inputs.addresses.set(FAR, 1);
  await agent.update();
  assert.ok(wordOf(agent, B).revision > (before[0] ?? 0));
  assert.equal(wordOf(agent, C).revision, before[1]);
  inputs.addresses.delete(FAR);
  await agent.update();
  assert.ok(wordOf(agent, C).revision > (before[1] ?? 0));
});

test("an agent that finds equal content writes nothing; one that finds other content replaces what differs", async () => {
  const { inputs, start, takeWrites } = await setUp();
  const first = await start();
  inputs.policies.set("p", allowing("p", "b", "a")).set("q", onPort("q", "c", 80));
  await first.update();
  await first.settled();
  const [words, rows] = [[A, B, C].map((pod) => wordOf(first, pod)), rowsOf(first)];
  takeWrites();
  const second = await start();
  await second.update();
  await second.settled();
  assert.deepEqual(takeWrites(), []);
  assert.deepEqual(
    [A, B, C].map((pod) => wordOf(second, pod)),
    words,
  );
  inputs.policies.set("p", allowing("p", "b", "c"));
  const third = await start();
  await third.update();
  await third.settled();
  assert.deepEqual(wordOf(third, C), words[2]);
  assert.ok(wordOf(third, B).revision > (words[1]?.revision ?? 0));
  assert.deepEqual([receives(third, B, 0), receives(third, B, 2)], [false, true]);
  assert.deepEqual(rowsOf(third), rows);
  // What a set gained and lost while no agent ran is written in place.
  inputs.policies.set("p", allowing("p", "b", "a", "c"));
  await third.update();
  inputs.addresses.set(FAR, 3);
  const fourth = await start();
  takeWrites();
  await fourth.update();
  assert.deepEqual(
    takeWrites().filter((write) => /policy_(peers|ports)|endpoints/.test(write)),
    ["insert mesh_policy_peers_v1"],
  );
  inputs.addresses.delete(FAR);
  const fifth = await start();
  await fifth.update();
  assert.deepEqual(
    takeWrites().filter((write) => /policy_(peers|ports)/.test(write)),
    ["delete mesh_policy_peers_v1"],
  );
});

test("until the local cluster is in sync nothing is written: pods keep what the maps say", async () => {
  const { inputs, start, takeWrites } = await setUp();
  const first = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await first.update();
  await first.settled();
  takeWrites();
  const second = await start();
  second.isInSync = false;
  inputs.policies.clear();
  inputs.addresses.delete(C);
  await second.update();
  await second.settled();
  assert.deepEqual(takeWrites(), []);
  assert.equal(second.parts.isReady(B), false);
  second.isInSync = true;
  await second.apply();
  await second.settled();
  assert.deepEqual(
    [receives(second, B, 2), rowsOf(second)],
    [true, { sets: 0, peers: 0, ports: 0, addresses: 2, prefixes: 1 }],
  );
});

test("addresses of a cluster that is not in sync stay, with what the pods' sets say of them, also in another set", async () => {
  const { inputs, start } = await setUp();
  const first = await start();
  inputs.addresses.set(FAR, 3);
  inputs.policies.set("p", allowing("p", "b", "a"));
  await first.update();
  await first.settled();
  inputs.addresses.delete(FAR);
  for (const app of ["a", "c"]) {
    inputs.policies.set("p", allowing("p", "b", app));
    const next = await start();
    next.known.clear();
    await next.update();
    await next.settled();
    assert.equal(viewPolicy(next.port).identityOf(FAR), numberOf(3));
    assert.deepEqual([receives(next, B, 3), receives(next, B, 2)], [true, app === "c"]);
  }
  const last = await start();
  await last.update();
  await last.settled();
  assert.equal(viewPolicy(last.port).identityOf(FAR), KnownIdentity.World);
  assert.deepEqual(rowsOf(last), { sets: 1, peers: 1, ports: 0, addresses: 3, prefixes: 1 });
  assert.equal(receives(last, B, 3), false);
  assert.equal(last.known.has(LOCAL), true);
});

test("a pod whose identity is not known keeps its word, and its set stays as long as it has it", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  const word = wordOf(agent, B);
  inputs.addresses.delete(B);
  inputs.policies.clear();
  await agent.update();
  await agent.settled();
  assert.deepEqual(wordOf(agent, B), word);
  assert.deepEqual([receives(agent, B, 0), receives(agent, B, 2)], [true, false]);
  agent.pods.remove(B);
  await agent.apply();
  await agent.settled();
  assert.deepEqual([rowsOf(agent).sets, rowsOf(agent).peers], [0, 0]);
});

for (const [what, packets, map] of [
  ["sets", { sets: 2 }, "mesh_policy_sets_v1"],
  ["peers", { peers: 2 }, "mesh_policy_peers_v1"],
  ["ports", { ports: 1 }, "mesh_policy_ports_v1"],
] as const)
  test(`without room for ${what} a pod keeps its former set, says so, and gets the new one when something is freed`, async () => {
    const { inputs, start, pass } = await setUp(packets);
    const agent = await start();
    inputs.policies.set("q", what === "ports" ? onPort("q", "c", 80) : allowing("q", "c", "a", "b"));
    await agent.update();
    inputs.policies.set("p", what === "ports" ? onPort("p", "b", 443) : allowing("p", "b", "a"));
    await agent.update();
    await agent.settled();
    assert.deepEqual(wordOf(agent, B), { set: 0, audit: 0, revision: 0 });
    assert.deepEqual(
      [...agent.status.errors].map(([name, error]) => [
        name,
        (error as MeshError<{ code: string; map: string }>).data.map,
      ]),
      [["policy of 10.1.0.2", map]],
    );
    assert.deepEqual(
      [...agent.parts.errors()].map(([name]) => name),
      ["policy of 10.1.0.2"],
    );
    assert.equal(agent.parts.isReady(B), false);
    assert.equal(rowsOf(agent).sets, 1);
    inputs.policies.delete("q");
    await agent.update();
    await agent.settled();
    pass(1);
    await agent.apply();
    assert.deepEqual([...agent.status.errors], []);
    assert.equal(receives(agent, B, 2), false);
    assert.equal(agent.parts.isReady(B), true);
  });

test("an identity for which a set has no room for its row is given to no address until there is room", async () => {
  const { inputs, start, pass } = await setUp({ peers: 2 });
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a", "c"));
  await agent.update();
  inputs.addresses.set(FAR, 3);
  await agent.update();
  await agent.settled();
  assert.deepEqual([...agent.status.errors.keys()], ["rows of identities"]);
  assert.equal(viewPolicy(agent.port).identityOf(FAR), KnownIdentity.World);
  inputs.addresses.delete(C);
  await agent.update();
  await agent.settled();
  pass(60_000);
  await agent.apply();
  assert.deepEqual([...agent.status.errors], []);
  assert.equal(viewPolicy(agent.port).identityOf(FAR), numberOf(3));
  assert.equal(receives(agent, B, 3), true);
});

test("a full map of addresses keeps a quarter for the local cluster, and takes the others when there is room", async () => {
  const { inputs, start, pass } = await setUp({ addresses: 4 });
  const agent = await start();
  inputs.addresses.set(FAR, 3).set(key("10.9.0.2"), 3);
  await agent.update();
  assert.deepEqual([...agent.status.errors.keys()], ["identities of addresses"]);
  assert.equal(rowsOf(agent).addresses, 4);
  inputs.addresses.delete(C);
  await agent.update();
  pass(60_000);
  await agent.apply();
  assert.deepEqual([[...agent.status.errors], rowsOf(agent).addresses], [[], 4]);
});

test("each write of a hash that fails in an apply is reported, leaves no half set, and is done later", async () => {
  for (let n = 0; ; n++) {
    const { inputs, start, kernel, pass } = await setUp();
    const agent = await start();
    inputs.policies.set("p", allowing("p", "b", "a"));
    await agent.update();
    inputs.policies.set("p", onPort("p", "b", 80)).set("q", allowing("q", "c", "b"));
    inputs.addresses.set(FAR, 3).set(A, 5).delete(B);
    inputs.addresses.set(B, 4);
    inputs.prefixes.set("10.9.0.0/16", "exact").delete("10.1.0.0/16");
    // What is freed is not looked at here: a failure there ends the agent.
    kernel.holdGrace();
    let left = n;
    kernel.log.failWhen(({ what }) =>
      what !== "word" && what !== "body" && left-- === 0 ? new Error("The kernel refused the write") : undefined,
    );
    await agent.update();
    const view = viewPolicy(agent.port);
    for (const pod of [B, C]) {
      const { set } = wordOf(agent, pod);
      const word = agent.pods.policyOf(pod)?.word ?? 0n;
      // A pod with a set has a whole one: of the former policy or the new one.
      if (set !== 0)
        assert.equal(view.allows(word, { direction: "egress", identity: 2, protocol: TCP, port: 1 }), true);
    }
    const failed = left < 0;
    kernel.log.failWhen(undefined);
    kernel.releaseGrace();
    pass(60_000);
    await agent.apply();
    await agent.settled();
    pass(60_000);
    await agent.apply();
    await agent.settled();
    assert.deepEqual([...agent.status.errors], [], `write ${n}`);
    assert.deepEqual(
      [receives(agent, B, 0), receives(agent, C, 4), receives(agent, C, 0)],
      [true, true, false],
      `write ${n}`,
    );
    assert.deepEqual(rowsOf(agent), { sets: 2, peers: 1, ports: 1, addresses: 4, prefixes: 1 }, `write ${n}`);
    if (!failed) return assert.ok(n >= 9, String(n));
  }
});

test("after a word that could not be stored nothing is written, and the next agent goes on", async () => {
  const { inputs, start, kernel } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  await agent.update();
  inputs.policies.set("p", allowing("p", "b", "c"));
  kernel.log.failWhen(({ map, what }) =>
    what === "word" && map.startsWith("mesh_endpoints") ? new Error("The kernel refused the write") : undefined,
  );
  await assert.rejects(agent.update(), /refused the write/);
  kernel.log.failWhen(undefined);
  await assert.rejects(agent.apply(), /refused the write/);
  const next = await start();
  await next.update();
  await next.settled();
  assert.deepEqual([receives(next, B, 0), receives(next, B, 2)], [false, true]);
  assert.deepEqual(rowsOf(next), { sets: 1, peers: 1, ports: 0, addresses: 3, prefixes: 1 });
});

test("an agent that is killed before the pods got their revisions leaves that to the next one", async () => {
  const { inputs, start, kernel } = await setUp();
  const agent = await start();
  inputs.policies.set("p", allowing("p", "b", "a"));
  inputs.addresses.set(FAR, 3);
  await agent.update();
  const { revision } = wordOf(agent, B);
  inputs.addresses.set(FAR, 1);
  agent.flush();
  // The mark, then the address.
  kernel.log.killBefore(2);
  await assert.rejects(agent.apply(), Killed);
  assert.equal(viewPolicy(agent.port).identityOf(FAR), numberOf(1));
  assert.equal(wordOf(agent, B).revision, revision);
  const next = await start();
  assert.equal(next.revisions.pending, true);
  await next.update();
  assert.equal(next.revisions.pending, false);
  assert.ok(wordOf(next, B).revision > revision);
});

test("the numbers of this node in the maps are reported, and the prefixes that have them", async () => {
  const { inputs, start, kernel } = await setUp();
  const agent = await start();
  await agent.update();
  const local = (4095 << 20) >>> 0;
  const port = kernel.open();
  const row = { node: 0, flags: 0, check: 0 };
  const rows = await port.policy.prefixes.load();
  const [range] = rows.keys();
  await port.policy.prefixes.update(new Map([[range ?? "", IpcacheRow.encode({ ...row, identity: local + 300 })]]));
  const next = await startAgent(port, inputs);
  assert.deepEqual([...next.parts.adoptedNumbers.inUse], [local + 300]);
  assert.deepEqual([...next.parts.adoptedNumbers.prefixes], [["10.1.0.0/16", local + 300]]);
});

test("equal classes share their rows, which go with the last set that names them", async () => {
  const { inputs, start } = await setUp();
  const agent = await start();
  const isolated = { podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["b", "c"] }] } };
  inputs.policies.set("p", networkPolicy("p", { ...isolated, ingress: [{ ports: [{ port: 80 }, { port: 443 }] }] }));
  inputs.policies.set("q", networkPolicy("q", { podSelector: { matchLabels: { app: "c" } }, policyTypes: ["Egress"] }));
  await agent.update();
  assert.deepEqual(rowsOf(agent), { sets: 2, peers: 0, ports: 2, addresses: 3, prefixes: 1 });
  inputs.policies.delete("q");
  await agent.update();
  await agent.settled();
  assert.deepEqual(rowsOf(agent), { sets: 1, peers: 0, ports: 2, addresses: 3, prefixes: 1 });
  inputs.policies.clear();
  await agent.update();
  await agent.settled();
  assert.deepEqual(rowsOf(agent), { sets: 0, peers: 0, ports: 0, addresses: 3, prefixes: 1 });
});
