/**
 * Turns changes of the local cluster's objects into changes of its records (pure).
 *
 * In: changes of Services, EndpointSlices and Nodes, in any order. Out of `flush`: record changes for the local stream and for
 * export, and new notes on Services.
 */
import type { Change } from "@isthmus/kube";
import type { Prefix, ServiceName } from "@isthmus/model";
import type { SliceFacts } from "./endpoints/slice-facts.js";
import type { LastGood } from "./feed/last-good.js";
import { createRecordDiff, type RecordChange } from "./feed/record-diff.js";
import { exportedNode } from "./nodes/exported-node.js";
import { type NodeFacts, nodeConfigRecord, nodeRecord } from "./nodes/node-facts.js";
import type { ServiceFacts } from "./services/service-facts.js";
import { createServiceTable, type KnownService, type ServiceTableFlush } from "./services/service-table.js";

export interface LocalRecords {
  takeServices(change: Pick<Change<ServiceFacts>, "deletes" | "sets">): void;
  takeSlices(change: Pick<Change<SliceFacts | undefined>, "deletes" | "sets">): void;
  takeNodes(change: Pick<Change<NodeFacts>, "deletes" | "sets">): void;
  setServiceCidrs(cidrs: readonly Prefix[]): void;
  /** Sets this cluster's pod ranges: backends and node ranges outside them are not exported. */
  setPodCidrs(cidrs: readonly Prefix[]): void;
  /** As of the last flush. */
  service(name: ServiceName): KnownService | undefined;
  allServices(): Iterable<KnownService>;
  takeChanges(): ServiceTableFlush;
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
    takeServices({ deletes, sets }) {
      for (const { value } of deletes) table.deleteService(value);
      for (const { value } of sets) table.setService(value);
    },
    takeSlices({ deletes, sets }) {
      for (const { key } of deletes) table.deleteSlice(key);
      for (const { key, value } of sets) table.setSlice(key, value);
    },
    takeNodes({ deletes, sets }) {
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
    setServiceCidrs(now) {
      serviceCidrs = now;
      for (const facts of nodes.values()) setNode(facts);
    },
    setPodCidrs(now) {
      podCidrs = now;
      table.setPodCidrs(now);
      for (const facts of nodes.values()) setNode(facts);
    },
    service: table.get,
    allServices: table.all,
    takeChanges() {
      const { local: own, exported, ...reports } = table.flush();
      return { local: joined(localNodes.take(), own), exported: joined(exportedNodes.take(), exported), ...reports };
    },
  };
}

function joined(a: RecordChange, b: RecordChange): RecordChange {
  return { upserts: [...a.upserts, ...b.upserts], deletes: [...a.deletes, ...b.deletes] };
}
