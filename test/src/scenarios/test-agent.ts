/**
 * The agent of one node in a scenario, from records to maps: the real merge, plan, desired state and datapath, on an in-memory
 * kernel. `restart` is a new process on the same kernel, which only has what it reads there and what it is sent again.
 */

import { createDatapath, createDesiredState, desiredNode, nodeName, otherProxyAddresses } from "@isthmus/agent";
import type { DatapathPort } from "@isthmus/bpf";
import { createServiceMerger, type ServiceTable } from "@isthmus/clustermesh";
import { planService } from "@isthmus/loadbalancer";
import type { ClusterId, ClusterName, ServiceName } from "@isthmus/model";
import { Kind, Node } from "@isthmus/proto";
import { createMemoryKernel } from "@isthmus/testing";
import type { RecordChange } from "./test-cluster.js";

export interface Member {
  readonly name: ClusterName;
  readonly id: ClusterId;
}

export interface TestAgent {
  readonly table: ServiceTable;
  readonly port: DatapathPort;
  addCluster(member: Member): void;
  removeCluster(member: Member): void;
  receive(member: Member, change: RecordChange): void;
  /** Resolves when the maps have the desired state and nothing is left to free. */
  apply(): Promise<void>;
  /** Removes everything that is not desired; called when all clusters are in sync. */
  sweep(): void;
  /** Starts a new process; clusters and records must be sent to it again. */
  restart(): Promise<void>;
}

export async function createTestAgent(local: Member): Promise<TestAgent> {
  const kernel = createMemoryKernel();
  let run = await startProcess(kernel.open(), local);
  return {
    get table() {
      return run.merger.table;
    },
    get port() {
      return run.port;
    },
    addCluster: (member) => run.addCluster(member),
    removeCluster: (member) => run.removeCluster(member),
    receive: (member, change) => run.receive(member, change),
    apply: () => run.apply(),
    sweep: () => run.sweep(),
    async restart() {
      run = await startProcess(kernel.open(), local);
    },
  };
}

async function startProcess(port: DatapathPort, local: Member) {
  const merger = createServiceMerger();
  const desired = createDesiredState();
  const datapath = await createDatapath({ port, desired, now: () => 0 });
  const members = new Map<ClusterId, Member>();
  const configured = new Set<ServiceName>();
  const nodesOf = (member: Member) => [...(merger.views.get(member.name)?.nodes.keys() ?? [])];

  return {
    merger,
    port,
    addCluster(member: Member): void {
      members.set(member.id, member);
      merger.addCluster({ cluster: member.name, id: member.id, local: member.id === local.id });
    },
    removeCluster(member: Member): void {
      for (const node of nodesOf(member)) datapath.touch({ nodes: [[nodeName(member.id, node), undefined]] });
      members.delete(member.id);
      merger.removeCluster(member.name);
    },
    receive(member: Member, { upserts, deletes }: RecordChange): void {
      if (!members.has(member.id)) return;
      for (const { kind, key, value } of upserts) {
        const names = merger.upsert(member.name, kind, key, value);
        if (kind === Kind.KIND_SERVICE_CONFIG) for (const name of names) configured.add(name);
        if (kind !== Kind.KIND_NODE) continue;
        const record = Node.decode(value);
        datapath.touch({ nodes: [[nodeName(member.id, record.name), desiredNode(member.id, record)]] });
      }
      for (const { kind, key } of deletes) {
        const names = merger.remove(member.name, kind, key);
        if (kind === Kind.KIND_SERVICE_CONFIG) for (const name of names) configured.add(name);
        if (kind === Kind.KIND_NODE)
          datapath.touch({ nodes: [[nodeName(member.id, key.slice(key.indexOf("/") + 1)), undefined]] });
      }
    },
    async apply(): Promise<void> {
      for (const [name, frontends] of merger.flushServices()) {
        const plans = planService(frontends).flatMap((result) => (result.ok ? [result.plan] : []));
        datapath.touch({ frontends: desired.setService(name, plans) });
      }
      for (const name of configured)
        datapath.touch({ frontends: desired.setOtherProxy(name, otherProxyAddresses(merger.configs.get(name))) });
      configured.clear();
      await datapath.apply();
      await datapath.settled();
    },
    sweep(): void {
      datapath.touch({ sweepFrontends: true });
      for (const id of members.keys()) datapath.touch({ sweepNodes: [id] });
    },
  };
}
