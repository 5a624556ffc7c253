/**
 * For tests: the state of a whole node on an in-memory kernel. A test sends it the messages of a server and reads the
 * maps as a program does.
 */
import type { ClusterId, ClusterName } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { type Applied, type NodeConfig, PeerState, type ToAgent, type ToServer } from "@isthmus/proto";
import {
  createFakeClock,
  type FakeClock,
  type MemoryKernel,
  type MemoryPort,
  type RecordSource,
  settle,
} from "@isthmus/testing";
import { describeKernel, frontendOf, selectable } from "../datapath/testing/testbed.js";
import { createNodeState, type NodeState, type NodeStateModules } from "../node-state.js";
import { type EndpointTable, openEndpointTable } from "../packets/endpoint-table.js";
import type { Snapshot } from "../sync/snapshot.js";

export interface TestNode {
  readonly state: NodeState;
  readonly port: MemoryPort;
  /** Rows of its pods; with `enforces`, policy is enforced for them. */
  readonly pods: EndpointTable;
  readonly clock: FakeClock;
  readonly acks: readonly Applied[];
  readonly sent: readonly ToServer[];
  readonly counted: readonly string[];
  readonly nodeConfigs: readonly NodeConfig[];
  readonly failures: readonly unknown[];
  /** Opens a stream; returns its Hello. */
  connect(): ToServer | undefined;
  /** Processes messages and waits until they are applied to the maps. */
  receive(...messages: readonly ToAgent[]): Promise<void>;
  /** Processes the whole first sync of each source. */
  sync(...sources: readonly RecordSource[]): Promise<void>;
  /** Backends that a connect to `ip:80` can reach; undefined = no such frontend. */
  backends(ip: string): Promise<readonly string[] | undefined>;
  describe(): Promise<string[]>;
}

export interface TestNodeOptions {
  readonly kernel: MemoryKernel;
  readonly node?: string;
  /** Default: true. */
  readonly refuseUnknownClusterIps?: boolean;
  readonly snapshots?: readonly Snapshot[];
  readonly keptPolicies?: NodeStateModules["keptPolicies"];
  /** As in mode `packets`. Default: false. */
  readonly enforces?: boolean;
  /** Called with the acks of each apply. */
  readonly applied?: (acks: readonly Applied[]) => void;
  /** Called when routes may have changed. */
  readonly routes?: () => void;
  /** Called when the state was created. */
  readonly created?: () => void;
}

/** An agent of node n1 of cluster east (1). */
export async function startTestNode(options: TestNodeOptions): Promise<TestNode> {
  const port = options.kernel.open();
  const gracePeriod = () => port.gracePeriod();
  const pods = await openEndpointTable(port, { gracePeriod, removed: async () => undefined });
  const clock = createFakeClock();
  const acks: Applied[] = [];
  const sent: ToServer[] = [];
  const counted: string[] = [];
  const nodeConfigs: NodeConfig[] = [];
  const failures: unknown[] = [];
  const state = await createNodeState(
    {
      node: options.node ?? "n1",
      version: "test",
      cluster: "east" as ClusterName,
      clusterId: 1 as ClusterId,
      refuseUnknownClusterIps: options.refuseUnknownClusterIps ?? true,
    },
    {
      port,
      enforcement: options.enforces === true ? { port: port.policy, pods } : undefined,
      clock,
      log: silentLogger,
      snapshots: options.snapshots ?? [],
      keptPolicies: options.keptPolicies,
      applied(done) {
        acks.push(...done);
        options.applied?.(done);
      },
      nodeConfig: (config) => void nodeConfigs.push(config),
      routes: options.routes ?? (() => undefined),
      count: (clusterId, event) => void counted.push(`${clusterId}:${event}`),
      refusedRecord: (clusterId) => void counted.push(`${clusterId}:refused-record`),
      failed: (error) => void failures.push(error),
      signal: new AbortController().signal,
    },
  );
  options.created?.();
  await quiet();

  async function quiet(): Promise<void> {
    await settle();
    await state.applier.idle();
    await state.datapath.settled();
    if (failures.length > 0) throw failures[0];
  }

  async function receive(...messages: readonly ToAgent[]): Promise<void> {
    for (const message of messages) {
      for (const effect of state.core.step({ is: "message", message })) {
        if (effect.is === "send") sent.push(effect.message);
        else if (effect.is === "leave") counted.push(`leave:${effect.reason}`);
        else state.perform(effect);
      }
    }
    await quiet();
  }

  return {
    state,
    port,
    pods,
    clock,
    acks,
    sent,
    counted,
    nodeConfigs,
    failures,
    connect() {
      const [hello] = state.core.step({ is: "opened" });
      return hello?.is === "send" ? hello.message : undefined;
    },
    receive,
    async sync(...sources) {
      for (const source of sources) await receive(sourceStateMessage(source.clusterId), ...source.firstSync());
    },
    async backends(ip) {
      const reachable = await selectable(port, frontendOf(ip));
      return reachable?.map(({ backend }) => backend).sort();
    },
    describe: () => describeKernel(port),
  };
}

const NAMES: Readonly<Record<number, string>> = { 0: "east", 2: "west", 3: "north" };

export function sourceStateMessage(clusterId: number, status = PeerState.PEER_STATE_IN_SYNC): ToAgent {
  const cluster = NAMES[clusterId] ?? `c${clusterId}`;
  return { message: { $case: "sourceState", value: { clusterId, cluster, status, behind: false, hops: [] } } };
}
