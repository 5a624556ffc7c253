/** The stream server over real gRPC on loopback, with fake sources. It is closed at the end of the test. */
import { systemClock } from "@isthmus/model";
import { createMetrics, type Logger, type Metrics, silentLogger } from "@isthmus/observe";
import { type AgentRegistry, createAgentRegistry } from "../serve/agents/agent-registry.js";
import { type AgentQueries, createAgentQueries } from "../serve/agents/agent-queries.js";
import { createStreamHub, type StreamHub, type StreamHubOptions } from "../serve/agents/stream-hub.js";
import { startStreamServer } from "../serve/agents/stream-server.js";
import { watchTlsFiles } from "../serve/grpc/tls-files.js";
import { createFakeSource, createFakeSources, type FakeSource, type FakeSources } from "./fake-source.js";
import type { MeshTls } from "./mesh-tls.js";
import { connectAgent, type HeldSource, type TestAgent, type TestAgentOptions } from "./test-agent.js";

export interface ServedStream {
  readonly own: FakeSource;
  readonly east: FakeSource;
  readonly sources: FakeSources;
  readonly agents: AgentRegistry;
  readonly hub: StreamHub;
  readonly queries: AgentQueries;
  readonly metrics: Metrics;
  readonly port: number;
  agent(
    node?: string,
    more?: Partial<TestAgentOptions>,
  ): Promise<TestAgent & { readonly held: Map<number, HeldSource> }>;
}

/** A server with a local source (two records and two node configurations) and the source of east (cluster 1, one record). */
export async function serveStream(
  t: { after(work: () => Promise<void>): void },
  tls: MeshTls,
  options: Partial<StreamHubOptions> & { readonly log?: Logger } = {},
): Promise<ServedStream> {
  const { log = silentLogger, ...limits } = options;
  const own = createFakeSource(0, "west");
  const east = createFakeSource(1, "east");
  own.change({ "services/a/x": "1", "slices/a/x/x-1": "1", "node-configs/n1": "one", "node-configs/n2": "two" });
  east.change({ "services/a/x": "e" });
  const sources = createFakeSources(own, east);
  const agents = createAgentRegistry(systemClock);
  const metrics = createMetrics();
  const hub = createStreamHub(
    { maxSnapshots: 10, maxAgents: 100, ...limits },
    { sources, agents, clock: systemClock, metrics },
  );
  const queries = createAgentQueries();
  const files = watchTlsFiles(tls.folder, log);
  const server = await startStreamServer(
    { address: "127.0.0.1:0", instance: "test", cluster: "west", clusterId: 2 },
    { hub, queries, tls: files, clock: systemClock, log, servers: () => ["a:1", "b:2"] },
  );
  const opened: TestAgent[] = [];
  t.after(async () => {
    for (const agent of opened) agent.close();
    await server.close(500);
    hub.close();
    files.close();
  });
  const agent = async (node = "n1", more: Partial<TestAgentOptions> = {}) => {
    const made = connectAgent({ port: server.port, node, tls: await tls.node(node), ...more });
    opened.push(made);
    return made;
  };
  return { own, east, sources, agents, hub, queries, metrics, agent, port: server.port };
}
