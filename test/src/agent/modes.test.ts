/** The real agent between modes `packets` and `sockets` while a policy selects its pod. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allow, makeEndpoint, makeIdentity, numberOf, shopLabels } from "@isthmus/agent/testing";
import { createRecordSource, makeNode, makeNodeConfig, until } from "@isthmus/testing";
import { type AgentProcess, createAgentNode } from "./agent-process.js";
import { startStreamServer } from "./stream-server.js";

/** The first of the node's pod range, and so of the first pod. */
const POD = "10.11.0.1";

test("an agent that would end the enforcement of policies does not start, unless it may; then the node has a condition until it enforces again", async (t) => {
  const WEB = numberOf(1, 256);
  const policy = allow("web", "web", "ingress", [{ podSelector: { matchLabels: { app: "db" } } }]);
  const own = createRecordSource({ clusterId: 0 });
  own.change([
    makeNode("n1", "127.0.0.1", "10.11.0.0/24"),
    makeNodeConfig("n1", "10.11.0.0/24"),
    makeIdentity(WEB, shopLabels("east", { app: "web" })),
    makeEndpoint(POD, WEB),
    policy,
  ]);
  const node = await createAgentNode(t, "n1", { podsCgroup: "kubepods" });
  const sources = [{ name: "east", source: own }];
  const server = await startStreamServer({ netns: node.netns, node: "n1", tlsDir: node.tlsDir, sources });
  t.after(() => server.close());
  /** Of policies: the machine's settings may be the reason of others. */
  const conditions = () =>
    (server.acks.at(-1)?.conditions ?? []).flatMap(({ type, message }) =>
      type === "PolicyNotEnforced" ? [message] : [],
    );
  const enforces = () => server.hellos.at(-1)?.capabilities.includes("policies");
  async function start(...args: readonly string[]): Promise<AgentProcess> {
    const before = server.hellos.length;
    const agent = node.start(...args);
    const isApplied = () => server.acks.some(({ applied }) => applied.length > 0);
    await until("the agent follows", () => server.hellos.length > before && isApplied());
    return agent;
  }

  const first = await start();
  await until("CNI configuration", () => node.configured);
  const { ips } = node.cniAdd("c1", "/kubepods/pod1");
  assert.match(JSON.stringify(ips), new RegExp(POD.replaceAll(".", "\\.")));
  const hasSet = /mesh_map_entries\{map="mesh_policy_sets[^}]*\} 1$/m;
  await until("the pod has its policy", () => hasSet.test(node.metrics()));
  assert.equal(await first.kill("SIGTERM"), 0);

  const refused = node.start("--datapath-mode", "sockets");
  assert.equal(await refused.ended, 1);
  assert.match(refused.log.at(-1) ?? "", /POLICY_IN_FORCE.*select 1 of this node's pods .*--unenforced-policy/);
  const again = await start();
  assert.deepEqual([enforces(), conditions()], [true, []]);
  assert.match(node.metrics(), hasSet);
  assert.equal(await again.kill("SIGTERM"), 0);

  const condition = /^policies are not enforced.*1 \(NetworkPolicy shop\/web\) for 1 of its pods/;
  for (const flags of [["--unenforced-policy"], []]) {
    const agent = await start("--datapath-mode", "sockets", ...flags);
    await until("the condition", () => condition.test(conditions().join()));
    assert.equal(enforces(), false);
    assert.equal(
      agent.log.some((line) => line.includes("Policies are not enforced any more")),
      flags.length > 0,
    );
    assert.equal(await agent.kill("SIGTERM"), 0);
  }

  await start();
  await until("the pod has its policy again", () => hasSet.test(node.metrics()));
  assert.deepEqual([enforces(), conditions()], [true, []]);
});
