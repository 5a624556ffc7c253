/**
 * Joins Services with their slices and keeps what each Service's records are (pure; work proportional to the change).
 *
 * In: Services and slices that came, changed or went, in any order. Out of `flush`: the records that differ since the last
 * one, for the own stream and for export, and the notes that are new.
 */
import type { ServiceName } from "@isthmus/model";
import type { HashedRecord } from "@isthmus/records";
import { parseAnnotations } from "./annotations.js";
import type { LastGood } from "./last-good.js";
import { createRecordDiff, type RecordChange } from "./record-diff.js";
import type { ServiceFacts } from "./service-facts.js";
import { type ServiceNote, serviceNotes, serviceRecords } from "./service-records.js";
import type { SliceFacts } from "./slice-facts.js";

export interface ServiceTableFlush {
  readonly own: RecordChange;
  readonly exported: RecordChange;
  readonly notes: readonly { readonly facts: ServiceFacts; readonly note: ServiceNote }[];
}

interface Entry {
  facts: ServiceFacts | undefined;
  readonly slices: Map<string, HashedRecord>;
  notes: ReadonlySet<string>;
}

export function createServiceTable(lastGood: LastGood) {
  const entries = new Map<ServiceName, Entry>();
  const sliceOwner = new Map<string, ServiceName>();
  const dirty = new Set<ServiceName>();
  const own = createRecordDiff();
  const exported = createRecordDiff();

  function entry(service: ServiceName): Entry {
    const found = entries.get(service) ?? { facts: undefined, slices: new Map(), notes: new Set() };
    entries.set(service, found);
    dirty.add(service);
    return found;
  }

  function removeSlice(objectKey: string): void {
    const owner = sliceOwner.get(objectKey);
    if (owner === undefined) return;
    sliceOwner.delete(objectKey);
    entry(owner).slices.delete(objectKey);
  }

  function flushOne(service: ServiceName, notes: { facts: ServiceFacts; note: ServiceNote }[]): void {
    const { facts, slices, notes: before } = entry(service);
    if (facts === undefined) {
      own.set(service, []);
      exported.set(service, []);
      if (slices.size === 0) entries.delete(service);
      return;
    }
    const { values, good, findings } = parseAnnotations(facts.annotations, lastGood.get(facts.uid));
    lastGood.set(facts.uid, good, findings.length > 0);
    const said = serviceNotes(facts, findings);
    for (const note of said) if (!before.has(note.sentence)) notes.push({ facts, note });
    entry(service).notes = new Set(said.map(({ sentence }) => sentence));
    const records = serviceRecords(
      facts,
      slices.values(),
      values,
      said.map(({ sentence }) => sentence),
    );
    own.set(service, records.own);
    exported.set(service, records.exported);
  }

  return {
    setService(facts: ServiceFacts): void {
      entry(facts.service).facts = facts;
    },
    /** Only when the uid is the one known: the name may have been taken again. */
    deleteService(facts: ServiceFacts): void {
      lastGood.delete(facts.uid);
      const known = entry(facts.service);
      if (known.facts?.uid === facts.uid) known.facts = undefined;
    },
    /** `objectKey` is namespace/name of the EndpointSlice; `facts` is undefined when it is of no Service. */
    setSlice(objectKey: string, facts: SliceFacts | undefined): void {
      if (facts === undefined || sliceOwner.get(objectKey) !== facts.service) removeSlice(objectKey);
      if (facts === undefined) return;
      sliceOwner.set(objectKey, facts.service);
      entry(facts.service).slices.set(objectKey, facts.record);
    },
    deleteSlice: removeSlice,
    flush(): ServiceTableFlush {
      const notes: { facts: ServiceFacts; note: ServiceNote }[] = [];
      for (const service of [...dirty]) flushOne(service, notes);
      dirty.clear();
      return { own: own.take(), exported: exported.take(), notes };
    },
  };
}

export type ServiceTable = ReturnType<typeof createServiceTable>;
