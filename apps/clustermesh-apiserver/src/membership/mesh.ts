/**
 * The cluster's part in the mesh: its MeshCluster object, its connection to the store, publishing, and following peers.
 *
 * Everything here follows changes of its objects without a restart, and a failure here never stops the local path.
 */
import { LABEL_FILTER_DIGEST } from "@isthmus/identity";
import type { EventRecorder, KubeClient } from "@isthmus/kube";
import type { Clock, ClusterId, ClusterName } from "@isthmus/model";
import type { Logger, Metrics } from "@isthmus/observe";
import { PeerState, type StatusResponse } from "@isthmus/proto";
import { VERSION } from "@isthmus/runtime";
import type { IdentityAllocation } from "../cluster/identity-allocation.js";
import type { LocalSource } from "../cluster/local-source.js";
import type { KnownNode } from "../cluster/nodes/node-feed.js";
import { wirePrefix } from "../cluster/nodes/node-records.js";
import type { Leadership } from "../leader/leadership.js";
import type { SourceSet } from "../ports/source-set.js";
import { offStatus } from "../publish/index.js";
import { type Budget, createRemoteSources, type RemoteSources } from "../remote/index.js";
import type { AgentRegistry } from "../serve/agents/agent-registry.js";
import { listAgents } from "../serve/agents/agent-roll.js";
import type { RangesSource } from "../settings/cluster-ranges.js";
import { createConfigEvents } from "../settings/config-events.js";
import type { ConfigSource } from "../settings/config-source.js";
import { takenByPeers } from "../settings/saved-config.js";
import { createStoreDiagnostics } from "../store/store-diagnostics.js";
import { createStoreLink } from "../store/store-link.js";
import { clampStatus } from "./clamp-status.js";
import { createClusterObject } from "./cluster-object.js";
import { clusterConditions } from "./cluster-status.js";
import { createMissingCluster } from "./missing-cluster.js";
import { peerStatus } from "./peer-status.js";
import { createPeerStreams } from "./peer-streams.js";
import { createPeers } from "./peers.js";
import { createPublishing, type Publishing } from "./publishing.js";

export interface MeshOptions {
  /** From mesh-config; also the name of the MeshCluster object. */
  readonly cluster: ClusterName;
  /** From mesh-config: 1 to 4094. */
  readonly id: ClusterId;
  /** Where mesh-config and the Secret with the key for the store are. */
  readonly namespace: string;
  /** Name of this replica: in the report, in the status, and part of the writer's name in the store. */
  readonly instance: string;
  /** Records and bytes that are accepted from each peer. */
  readonly budget?: Budget;
}

export interface MeshModules {
  /** Reads and writes the MeshCluster, the MeshPeers and the Secret with the key for the store. */
  readonly client: KubeClient;
  /** The clock of the registry `agents` as well: ages of agents are by its monotonic time. */
  readonly clock: Clock;
  /** All lines are under its child `mesh`. */
  readonly log: Logger;
  /** Gets the metrics of the publisher and of the peers. */
  readonly metrics: Metrics;
  /** Its exports are published; its state is in the status. */
  readonly local: LocalSource;
  /** Its problem is a condition. */
  readonly allocation: Pick<IdentityAllocation, "problem">;
  /** Undefined until Nodes have been read. */
  readonly nodes: () => ReadonlyMap<string, KnownNode> | undefined;
  /** The mesh adds a source for each peer that is followed, and removes it with the peer. */
  readonly sources: SourceSet;
  /** Only read, for `report`. */
  readonly agents: AgentRegistry;
  /** Nothing is published or followed before both are known. */
  readonly ranges: RangesSource;
  /** Gets the ranges of the peers, which a changed mesh-config must not overlap. */
  readonly settings: ConfigSource;
  /** Objects are written while `writes` is true, the store while `publishes` is. */
  readonly leadership: Leadership;
  /** Gets an Event for a mesh-config that is not in force, and for a MeshCluster that is missing. */
  readonly events: EventRecorder;
}

export interface Mesh {
  /** For the CLI, clamped; computed at each call. Without certificates and policies: the admin server adds them. */
  report(): StatusResponse;
  /** PEM of the certificate for the store; undefined without a store. */
  readonly storeCertificate: string | undefined;
  /** PEM of the store's CA. */
  readonly storeCa: string | undefined;
  /** Reads the saved epoch of the local cluster by quorum; "" without one. Rejects with a KubeError. */
  readEpoch(signal: AbortSignal): Promise<string>;
  /** Saves the epoch in the MeshCluster; retries by itself. */
  keepEpoch(epoch: string): void;
  /** Resolves when aborted. Rejects only for an internal error. */
  run(signal: AbortSignal): Promise<void>;
}

/** Nothing is read, written or connected before `run`, except by `readEpoch`. */
export function createMesh(options: MeshOptions, modules: MeshModules): Mesh {
  const { cluster, id, instance } = options;
  const { client, clock, metrics, local, sources, ranges, settings, leadership } = modules;
  const log = modules.log.child("mesh");
  const link = createStoreLink(options, { client, clock, log });
  const streams = createPeerStreams(sources, clock);
  const diagnostics = createStoreDiagnostics(cluster, {
    clock,
    log: log.child("store"),
    store: () => link.spec,
    publisher: () => publishing?.status() ?? OFF,
  });
  let publishing: Publishing | undefined;
  let remotes: RemoteSources | undefined;

  const object = createClusterObject(cluster, {
    client,
    clock,
    log,
    mayWrite: () => leadership.writes,
    spec: () => ({ name: cluster, id, ...ranges.current }),
    status: () => ({
      uid: local.exported.clusterUid,
      instance,
      version: VERSION,
      labelFilterDigest: Buffer.from(LABEL_FILTER_DIGEST).toString("hex"),
      storeId: publisherStatus().storeId.toString("hex"),
      adminServers: settings.current?.adminServers ?? [],
      conditions: clusterConditions(
        local,
        publisherStatus(),
        { configured: link.store.configured, problem: link.problem },
        { config: settings.problem, identities: modules.allocation.problem },
      ),
    }),
    lastGood: () => settings.lastGood,
    storeRequest: (held, signal) => link.request(held, signal),
    onStore: (spec) => link.setSpec(spec),
  });
  const configEvents = createConfigEvents(options.namespace, {
    ...{ events: modules.events, settings, clock, log },
    object: () => object.current,
  });
  const missing = createMissingCluster(cluster, options.namespace, {
    ...{ object, events: modules.events, settings, clock, log },
  });
  const peers = createPeers({
    client,
    clock,
    log,
    mayWrite: () => leadership.writes,
    onPeers: updatePeers,
    status: (name) => {
      const status = peerStatus(
        remotes
          ?.list()
          .find((source) => source.cluster === name)
          ?.report(),
      );
      // The connection of this cluster to the store is at fault, not the peer.
      const { PEER_STATE_CONNECTING, PEER_STATE_STALE } = PeerState;
      const silent = status.state === PEER_STATE_CONNECTING || status.state === PEER_STATE_STALE;
      const localFinding = silent ? diagnostics.finding : undefined;
      return localFinding === undefined ? status : { ...status, message: localFinding };
    },
  });

  function publisherStatus() {
    return diagnostics.explain(publishing?.status() ?? OFF);
  }

  function updatePeers(): void {
    if (peers.known) settings.setTaken("peers", takenByPeers(peers.current.values()));
    if (remotes === undefined || !peers.known) return;
    remotes.update([...peers.current.values()]);
    // A peer whose object cannot be read does not count as removed.
    if (peers.refused.size === 0) sources.setComplete();
  }

  async function joinMesh(signal: AbortSignal): Promise<void> {
    const first = await ranges.whenComplete(signal).catch(() => undefined);
    if (first === undefined) return;
    const { store } = link;
    publishing = createPublishing(
      { cluster, id, instance },
      { store, exported: local.exported, ranges, clock, log: log.child("publish"), metrics, leadership },
    );
    const following = createRemoteSources(
      { cluster, id, ...first },
      { store, clock, log, metrics, localIndex: local.stream.index },
      options.budget && { budget: options.budget },
    );
    remotes = following;
    ranges.follow((now) => following.setLocalRanges({ ...first, ...now }));
    remotes.onStatus((source) => {
      streams.follow(source);
      peers.trigger();
    });
    updatePeers();
    await Promise.all([publishing.run(signal), remotes.run(signal)]);
  }

  return {
    get storeCertificate() {
      return link.spec?.certificate;
    },
    get storeCa() {
      return link.spec?.ca;
    },
    report: () =>
      clampStatus({
        cluster,
        clusterId: id,
        clusterUid: local.exported.clusterUid,
        instance,
        version: VERSION,
        leader: leadership.publishes,
        kubeAgeMs: local.exported.kubeAgeMs(),
        certificates: [],
        policiesNotAccepted: 0,
        auditedPods: 0,
        publisher: publisherStatus(),
        sources: streams.served().map((source) => source.report()),
        ...listAgents(modules.agents.reports(), modules.nodes(), clock.now()),
        podCidrs: (ranges.current.podCidrs ?? []).map(wirePrefix),
        serviceCidrs: (ranges.current.serviceCidrs ?? []).map(wirePrefix),
      }),
    readEpoch: (signal) => object.readEpoch(signal),
    keepEpoch: (epoch) => object.keepEpoch(epoch),
    async run(signal) {
      ranges.follow(() => object.trigger());
      settings.onChange(() => object.trigger());
      leadership.onChange(() => {
        object.trigger();
        peers.trigger();
      });
      const parts = [object, link, peers, diagnostics, configEvents, missing];
      await Promise.all([...parts.map((part) => part.run(signal)), joinMesh(signal)]);
    },
  };
}

const OFF = offStatus("Waiting for this cluster's pod and Service ranges");
