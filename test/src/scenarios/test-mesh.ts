/**
 * The clusters of a scenario and their links: each cluster has one agent, and gets what the others export unless their link
 * is cut. A link that heals delivers the difference, including deletions.
 */
import { MeshError } from "@isthmus/model";
import type { HashedRecord } from "@isthmus/records";
import { createTestAgent, type TestAgent } from "./test-agent.js";
import { type ClusterChange, createTestCluster, type RecordChange, type TestCluster } from "./test-cluster.js";

export interface TestMesh {
  readonly clusters: ReadonlyMap<string, TestCluster>;
  cluster(name: string): TestCluster;
  agent(name: string): TestAgent;
  addCluster(name: string, id: string): Promise<void>;
  /** Delivers a cluster's change to the agents that it reaches. */
  deliver(name: string, change: ClusterChange): void;
  disconnect(name: string): void;
  connect(name: string): void;
  restart(name: string): Promise<void>;
  /** Replaces the node: an agent on empty maps. */
  reinstall(name: string): Promise<void>;
  forget(name: string, other: string): void;
  /** Agents apply their records to their maps. */
  apply(name?: string): Promise<void>;
}

export function createTestMesh(): TestMesh {
  const clusters = new Map<string, TestCluster>();
  const agents = new Map<string, TestAgent>();
  const cut = new Set<string>();
  const forgotten = new Set<string>();
  /** The records of each cluster that its link has delivered. */
  const passed = new Map<string, Map<string, HashedRecord>>();

  const cluster = (name: string) => clusters.get(name) ?? missing(name);
  const agent = (name: string) => agents.get(name) ?? missing(name);

  function others(name: string): readonly string[] {
    return [...clusters.keys()].filter((other) => other !== name);
  }

  function pass(name: string, change: RecordChange): void {
    const through = passed.get(name) ?? new Map<string, HashedRecord>();
    passed.set(name, through);
    for (const { key } of change.deletes) through.delete(key);
    for (const record of change.upserts) through.set(record.key, record);
    for (const other of others(name)) agent(other).receive(cluster(name), change);
  }

  function introduce(name: string): void {
    for (const other of clusters.values()) {
      if (forgotten.has(`${name} ${other.name}`)) continue;
      agent(name).addCluster(other);
      const records = other.name === name ? other.own : (passed.get(other.name) ?? new Map());
      agent(name).receive(other, { upserts: [...records.values()], deletes: [] });
    }
  }

  return {
    clusters,
    cluster,
    agent,
    async addCluster(name, id) {
      const added = createTestCluster(name, id);
      clusters.set(name, added);
      agents.set(name, await createTestAgent(added));
      introduce(name);
      for (const other of others(name)) agent(other).addCluster(added);
    },
    deliver(name, { local, exported }) {
      agent(name).receive(cluster(name), local);
      if (!cut.has(name)) pass(name, exported);
    },
    disconnect: (name) => void cut.add(cluster(name).name),
    connect(name) {
      if (!cut.delete(name)) return;
      const { exported } = cluster(name);
      const before = passed.get(name) ?? new Map<string, HashedRecord>();
      const deletes = [...before.values()].filter(({ key }) => !exported.has(key));
      pass(name, { upserts: [...exported.values()], deletes });
    },
    async restart(name) {
      await agent(name).restart();
      introduce(name);
      agent(name).sweep();
    },
    async reinstall(name) {
      agents.set(name, await createTestAgent(cluster(name)));
      introduce(name);
    },
    forget(name, other) {
      forgotten.add(`${name} ${other}`);
      agent(name).removeCluster(cluster(other));
    },
    async apply(name) {
      for (const each of name === undefined ? agents.values() : [agent(name)]) await each.apply();
    },
  };
}

function missing(name: string): never {
  throw new MeshError({ code: "SCENARIO" }, `Cannot find cluster "${name}" in the scenario`);
}
