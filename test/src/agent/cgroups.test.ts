/** The real agent with each layout of a kubelet's cgroups: processes in the pods' cgroup have Services, others do not. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { makeEndpoint, makeIdentity, numberOf, shopLabels } from "@isthmus/agent/testing";
import { createRecordSource, makeConfig, makeNode, makeNodeConfig, makeService, until } from "@isthmus/testing";
import { type AgentNode, type AgentNodeOptions, type AgentProcess, createAgentNode } from "./agent-process.js";
import { startStreamServer } from "./stream-server.js";

/** A Service without a backend: where the programs run, a connect is refused at once; elsewhere there is no route to it. */
const VIP = "10.96.0.99";

/** The first of the node's pod range, and so of the first pod. */
const POD = "10.11.0.1";
const IDENTITY = numberOf(1, 256);

interface Rig {
  readonly node: AgentNode;
  readonly agent: AgentProcess;
}

async function startRig(t: TestContext, options: AgentNodeOptions): Promise<Rig> {
  const own = createRecordSource({ clusterId: 0 });
  own.change([
    makeService("shop/none", { ip: VIP }),
    makeConfig("shop/none"),
    makeNode("n1", "127.0.0.1", "10.11.0.0/24"),
    makeNodeConfig("n1", "10.11.0.0/24"),
    makeIdentity(IDENTITY, shopLabels("east", { app: "web" })),
    makeEndpoint(POD, IDENTITY),
  ]);
  const node = await createAgentNode(t, "n1", options);
  const sources = [{ name: "east", source: own }];
  const server = await startStreamServer({ netns: node.netns, node: "n1", tlsDir: node.tlsDir, sources });
  t.after(() => server.close());
  const agent = node.start();
  await until("the Service is in the maps", () => server.acks.some(({ applied }) => applied.length > 0));
  await until("started", () => agent.log.some((line) => line.includes('"Started"')));
  return { node, agent };
}

const LAYOUTS = [
  { podsCgroup: "kubepods", pod: "burstable/pod1", named: "/kubepods/burstable/pod1" },
  { podsCgroup: "kubepods.slice", pod: "kubepods-pod1.slice", named: "kubepods-pod1.slice" },
  { podsCgroup: "kubelet/kubepods", pod: "pod1", named: "/kubelet/kubepods/pod1" },
  {
    podsCgroup: "kubelet.slice/kubelet-kubepods.slice",
    pod: "kubelet-kubepods-pod1.slice",
    named: "kubelet-kubepods-pod1.slice",
  },
] as const;

for (const { podsCgroup, pod, named } of LAYOUTS) {
  test(`pods below ${podsCgroup} have Services`, async (t) => {
    const { node, agent } = await startRig(t, { podsCgroup });
    assert.equal(node.dialFrom(`${podsCgroup}/${pod}`, VIP), "ECONNREFUSED");
    assert.equal(node.dialFrom("system.slice/sshd.service", VIP), "ENETUNREACH");
    assert.match(node.metrics(), /mesh_pods_cgroups_attached 1\n/);
    assert.equal(node.readyz(), "ok  started\nok  service programs\n");
    assert.ok(agent.log.some((line) => line.includes("Service programs attached") && line.includes(`"${podsCgroup}"`)));
    await until("CNI configuration", () => node.configured);
    const refused = node.cniAdd("c1", "/elsewhere/kubepods/pod1");
    assert.equal(refused.code, 11);
    assert.match(
      refused.msg ?? "",
      /^Cannot start a pod in cgroup "\/elsewhere\/kubepods\/pod1": Service programs are on /,
    );
    assert.ok(Array.isArray(node.cniAdd("c1", named).ips));
    await agent.kill();
    assert.equal(node.dialFrom(`${podsCgroup}/${pod}`, VIP), "ECONNREFUSED");
  });
}

test("a cgroup that the operator configures is the only one with Services", async (t) => {
  const named = { podsCgroup: "kubepods", arguments: ["--pods-cgroup", "/custom.slice/custom-kubepods.slice"] };
  const { node } = await startRig(t, named);
  assert.equal(node.dialFrom("custom.slice/custom-kubepods.slice/x", VIP), "ECONNREFUSED");
  assert.equal(node.dialFrom("kubepods/pod1", VIP), "ENETUNREACH");
});
