/** A test node whose agent is ready to attach pods. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "@isthmus/testing";
import { createTestNode, type TestAgent, type TestNode } from "./test-node.js";

/** The configuration that makes the node ready, in its root. */
export const CONF = "etc/cni/net.d/05-isthmus.conflist";

/** A node whose agent knows its pod CIDR. */
export async function readyNode(t: TestContext, cidr = "10.77.1.0/24"): Promise<{ node: TestNode; agent: TestAgent }> {
  const node = await createTestNode(t);
  return { node, agent: await readyAgent(node, cidr) };
}

export async function readyAgent(node: TestNode, cidr = "10.77.1.0/24"): Promise<TestAgent> {
  const agent = await node.startAgent();
  agent.setCidrs("fd00::/64", cidr);
  await until("configuration", () => existsSync(join(node.root, CONF)));
  return agent;
}
