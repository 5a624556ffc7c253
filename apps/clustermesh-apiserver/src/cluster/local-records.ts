/**
 * Turns changes of the local cluster's objects into changes of its records (pure).
 *
 * In: changes of Services, EndpointSlices and Nodes, in any order. Out of `flush`: record changes for the local stream and for
 * export, and new notes on Services.
 */
import type { Change } from "@isthmus/kube";
import type { Prefix, ServiceName } from "@isthmus/model";
import { exportedNode } from "./exported-node.js";
import type { LastGood } from "./last-good.js";
import { type NodeFacts, nodeConfigRecord, nodeRecord } from "./node-facts.js";
import { createRecordDiff, type RecordChange } from "./record-diff.js";
import type { ServiceFacts } from "./service-facts.js";
import { createServiceTable, type KnownService, type ServiceTableFlush } from "./service-table.js";
import type { SliceFacts } from "./slice-facts.js";

export interface LocalRecords {
  services(change: Pick<Change<ServiceFacts>, "deletes" | "sets">): void;
  slices(change: Pick<Change<SliceFacts | undefined>, "deletes" | "sets">): void;
  nodes(change: Pick<Change<NodeFacts>, "deletes" | "sets">): void;
  serviceCidrs(cidrs: readonly Prefix[]): void;
  /** Sets this cluster's pod ranges: backends and node ranges outside them are not exported. */
  podCidrs(cidrs: readonly Prefix[]): void;
  /** As of the last flush. */
  service(name: ServiceName): KnownService | undefined;
  allServices(): Iterable<KnownService>;
  flush(): ServiceTableFlush;
}

export function createLocalRecords(lastGood: LastGood, initial: readonly Prefix[] | undefined): LocalRecords {
  const table = createServiceTable(lastGood, initial);
  const nodes = new Map<string, NodeFacts>();
  const localNodes = createRecordDiff();
  const exportedNodes = createRecordDiff();
  let serviceCidrs: readonly Prefix[] = [];
  let podCidrs = initial;

  function setNode(facts: NodeFacts): void {
    const [node, exported] = [nodeRecord(facts), exportedNode(facts, podCidrs)];
    localNodes.set(facts.name, [node, nodeConfigRecord(facts, serviceCidrs)]);
    exportedNodes.set(facts.name, [exported === facts ? node : nodeRecord(exported)]);
  }

  return {
    services({ deletes, sets }) {
      for (const { value } of deletes) table.deleteService(value);
      for (const { value } of sets) table.setService(value);
    },
    slices({ deletes, sets }) {
      for (const { key } of deletes) table.deleteSlice(key);
      for (const { key, value } of sets) table.setSlice(key, value);
    },
    nodes({ deletes, sets }) {
      for (const { value } of deletes) {
        nodes.delete(value.name);
        localNodes.set(value.name, []);
        exportedNodes.set(value.name, []);
      }
      for (const { value } of sets) {
        nodes.set(value.name, value);
        setNode(value);
      }
    },
    serviceCidrs(now) {
      serviceCidrs = now;
      for (const facts of nodes.values()) setNode(facts);
    },
    podCidrs(now) {
      podCidrs = now;
      table.setPodCidrs(now);
      for (const facts of nodes.values()) setNode(facts);
    },
    service: table.get,
    allServices: table.all,
    flush() {
      const { own, exported, ...reports } = table.flush();
      return { own: joined(localNodes.take(), own), exported: joined(exportedNodes.take(), exported), ...reports };
    },
  };
}

function joined(a: RecordChange, b: RecordChange): RecordChange {
  return { upserts: [...a.upserts, ...b.upserts], deletes: [...a.deletes, ...b.deletes] };
}
