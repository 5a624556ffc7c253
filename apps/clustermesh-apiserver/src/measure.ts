/**
 * The data path of this apiserver without Kubernetes, for `make bench`: `feed` replaces the list-watches.
 *
 *   objects ─► facts ─► local records ─► index ─► publisher ─► store                 `publish`
 *                                        └────► stream to agents ◄── peers ◄── store    `serve`
 */
import { randomBytes } from "node:crypto";
import type { KubeObject } from "@isthmus/kube";
import type { Store } from "@isthmus/kvstore";
import { type ClusterId, type ClusterName, type Prefix, systemClock } from "@isthmus/model";
import { createMetrics, silentLogger } from "@isthmus/observe";
import { PeerState } from "@isthmus/proto";
import { createSourceIndex, localPosition, VERSION_TYPES } from "@isthmus/records";
import { VERSION } from "@isthmus/runtime";
import type { Feed } from "./cluster/feed/feed.js";
import { createLastGood } from "./cluster/feed/last-good.js";
import { createFeeds } from "./cluster/feeds.js";
import { createLocalRecords } from "./cluster/local-records.js";
import { wirePrefix } from "./cluster/nodes/node-records.js";
import { createSourceSet } from "./ports/source-set.js";
import type { StreamSource } from "./ports/stream-source.js";
import { createPublisher } from "./publish/index.js";
import { createRemoteSources } from "./remote/index.js";
import type { PeerSpec } from "./remote/peer.js";
import { remoteStreamSource } from "./remote/remote-stream-source.js";
import { createAgentQueries } from "./serve/agents/agent-queries.js";
import { createAgentRegistry } from "./serve/agents/agent-registry.js";
import { createStreamHub } from "./serve/agents/stream-hub.js";
import { startStreamServer } from "./serve/agents/stream-server.js";
import { watchTlsFiles } from "./serve/grpc/tls-files.js";

export interface SyntheticClusterOptions {
  /** Its records are published under this name. */
  readonly cluster: ClusterName;
  /** Published with its config; agents that it serves know its records as those of cluster 0. */
  readonly id: ClusterId;
  /** Backends outside of them are not exported. */
  readonly podCidrs: readonly Prefix[];
  /** Published with its config; its peers may not claim them. */
  readonly serviceCidrs: readonly Prefix[];
}

export interface SyntheticCluster {
  /** Takes objects as one chunk of watch events would deliver them. */
  feed(objects: Partial<Readonly<Record<"nodes" | "services" | "slices", readonly KubeObject[]>>>): void;
  /** Publishes until the signal aborts. */
  publish(store: Store, signal: AbortSignal): Promise<void>;
  /** Follows peers and serves agents until the signal aborts. `tlsDir`: ca.crt tls.crt tls.key. */
  serve(store: Store, peers: readonly PeerSpec[], tlsDir: string, address: string, signal: AbortSignal): Promise<void>;
}

/** Has no records before the first `feed`. Each call makes a store id of its own. */
export function createSyntheticCluster(options: SyntheticClusterOptions): SyntheticCluster {
  const { cluster, id, podCidrs, serviceCidrs } = options;
  const clock = systemClock;
  const index = createSourceIndex();
  const exported = createSourceIndex();
  const feeds = createFeeds(podCidrs, {
    ...{ cluster, id, clock },
    lastGood: createLastGood(),
    policies: { lastGood: createLastGood() },
  });
  const records = createLocalRecords(feeds.all);
  const storeId = randomBytes(16);
  let version = 0n;

  /** Applies the changes to both indexes under one position, as the local source does. */
  function applyChanges(): void {
    version++;
    const position = localPosition(
      storeId,
      VERSION_TYPES.map(() => version),
    );
    const { local, exported: out } = records.takeChanges();
    const observedMicros = clock.wallMicros();
    index.apply({ ...local, position, observedMicros });
    exported.apply({ ...out, position, observedMicros });
  }

  function takeObjects<Facts>(feed: Feed<Facts>, objects: readonly KubeObject[]): void {
    const sets = objects.map((object) => ({
      key: `${object.metadata.namespace}/${object.metadata.name}`,
      uid: object.metadata.uid ?? "",
      version: version + 1n,
      value: feed.facts(object),
    }));
    feed.take({ deletes: [], sets });
  }

  const stream: StreamSource = {
    clusterId: 0,
    cluster,
    index,
    isVerified: () => true,
    verifiesAbsence: () => true,
    state: () => ({ status: PeerState.PEER_STATE_IN_SYNC, hops: [] }),
    onState: () => () => undefined,
    catchUp: (_floor, signal) => clock.delay(1000, signal),
  };

  return {
    feed({ nodes = [], services = [], slices = [] }) {
      takeObjects(feeds.nodes, nodes);
      takeObjects(feeds.services, services);
      takeObjects(feeds.endpoints, slices);
      applyChanges();
    },
    async publish(store, signal) {
      const config = {
        name: cluster,
        id,
        uid: `uid-${cluster}`,
        podCidrs: podCidrs.map(wirePrefix),
        serviceCidrs: serviceCidrs.map(wirePrefix),
        labelFilterDigest: Buffer.alloc(0),
        version: VERSION,
      };
      const source = { records: () => exported.records(), onChange: exported.onChange };
      const modules = { store, source, clock, log: silentLogger, kubeAgeMs: () => 0, epoch: () => "" };
      await createPublisher({ config, instance: `${cluster}-0` }, modules).run(signal);
    },
    async serve(store, peers, tlsDir, address, signal) {
      const sources = createSourceSet(stream);
      const remotes = createRemoteSources(options, { store, clock, log: silentLogger, localIndex: index });
      remotes.update(peers);
      for (const source of remotes.list()) sources.add(remoteStreamSource(source, clock));
      sources.setComplete();
      const modules = {
        sources,
        agents: createAgentRegistry(clock),
        clock,
        metrics: createMetrics(),
      };
      const hub = createStreamHub({ maxSnapshots: 4, maxAgents: 4 }, modules);
      const tls = watchTlsFiles(tlsDir, silentLogger);
      const served = { address, instance: `${cluster}-0`, cluster, clusterId: id };
      const server = await startStreamServer(served, {
        hub,
        queries: createAgentQueries(),
        tls,
        clock: systemClock,
        log: silentLogger,
        servers: () => [address],
      });
      await remotes.run(signal);
      await server.close(0);
      hub.close();
      tls.close();
    },
  };
}
