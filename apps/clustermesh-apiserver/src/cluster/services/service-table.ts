/**
 * Joins Services with their slices and keeps the records of each Service (pure; work proportional to the change).
 *
 * In: Services and slices that were added, changed or deleted, in any order. Out of `flush`: the records that changed since the
 * last flush, for the local stream and for export, new notes, and the Services whose object or notes changed.
 */
import { DEFAULT_RESCUE_AFTER, type Prefix, type RescueAfter, type ServiceName } from "@isthmus/model";
import { type HashedRecord, outOfBounds } from "@isthmus/records";
import { createSliceExports } from "../endpoints/exported-slice.js";
import type { SliceFacts } from "../endpoints/slice-facts.js";
import type { LastGood } from "../feed/last-good.js";
import { createRecordDiff, type RecordChange } from "../feed/record-diff.js";
import { type MeshAnnotations, parseAnnotations } from "./annotations.js";
import type { ServiceFacts } from "./service-facts.js";
import { type ServiceNote, serviceNotes } from "./service-notes.js";
import { exportsSlices, serviceRecord, serviceRecords } from "./service-records.js";

/** A Service that exists, and what is reported to its user. */
export interface KnownService {
  /** As of the last flush. */
  readonly facts: ServiceFacts;
  /** The annotation values in force. */
  readonly inForce: MeshAnnotations;
  /** All that apply now, whether or not they are new. */
  readonly notes: readonly ServiceNote[];
}

export interface ServiceTableFlush {
  /** For this cluster's agents. */
  readonly local: RecordChange;
  /** For other clusters. */
  readonly exported: RecordChange;
  /** New ones only: not of the previous flush nor, when the Service is first read, in one of its conditions. */
  readonly notes: readonly { readonly facts: ServiceFacts; readonly note: ServiceNote }[];
  /** Deleted ones included. */
  readonly changed: readonly ServiceName[];
  /** Also those of which only slices came, changed or went. */
  readonly touched: readonly ServiceName[];
}

interface Entry {
  facts: ServiceFacts | undefined;
  readonly slices: Map<string, HashedRecord>;
  /** As of the last flush. */
  reported: KnownService | undefined;
}

/** Gets and sets the last good annotation values by uid. `podCidrs` undefined: not known yet, nothing is left out. */
export function createServiceTable(lastGood: LastGood<MeshAnnotations>, podCidrs: readonly Prefix[] | undefined) {
  const entries = new Map<ServiceName, Entry>();
  const sliceOwner = new Map<string, ServiceName>();
  const dirty = new Set<ServiceName>();
  const own = createRecordDiff();
  const exported = createRecordDiff();
  const exports = createSliceExports(podCidrs);
  let defaultRescueAfter: RescueAfter = DEFAULT_RESCUE_AFTER;

  function entry(service: ServiceName): Entry {
    const found = entries.get(service) ?? { facts: undefined, slices: new Map(), reported: undefined };
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

  function flushOne(
    service: ServiceName,
    out: { notes: ServiceTableFlush["notes"][number][]; changed: ServiceName[] },
  ) {
    const { facts, slices, reported } = entry(service);
    if (facts === undefined) {
      own.set(service, []);
      exported.set(service, []);
      if (reported !== undefined) out.changed.push(service);
      entry(service).reported = undefined;
      if (slices.size === 0) entries.delete(service);
      return;
    }
    const { values, good, findings } = parseAnnotations(facts.annotations, lastGood.get(facts.uid));
    lastGood.set(facts.uid, good, findings.length > 0);
    const sliceExports = exportsSlices(facts, values) ? [...slices.values()].map(exports.of) : [];
    const { podCidrs = [] } = exports;
    const tooLarge = values.global ? outOfBounds(serviceRecord(facts, values)) : undefined;
    const notes = serviceNotes({ facts, findings, inForce: values, exported: sliceExports, podCidrs, tooLarge });
    // Only of the same uid: nothing was reported yet on an object that was recreated under the name.
    const before = reported?.facts.uid === facts.uid ? reported.notes : [];
    const isReported = (note: ServiceNote) =>
      before.some((old) => sameMatter(old, note)) || (reported === undefined && isInConditions(facts, note));
    for (const note of notes) if (!isReported(note)) out.notes.push({ facts, note });
    if (reported?.facts !== facts || !sameSentences(reported.notes, notes)) out.changed.push(service);
    entry(service).reported = { facts, inForce: values, notes };
    const records = serviceRecords(
      facts,
      slices.values(),
      sliceExports.map(({ record }) => record),
      { ...values, rescueAfter: values.rescueAfter ?? defaultRescueAfter },
      notes.map(({ sentence }) => sentence),
    );
    own.set(service, records.local);
    exported.set(service, records.exported);
  }

  return {
    setService(facts: ServiceFacts): void {
      entry(facts.service).facts = facts;
    },
    /** Only when the uid is the known one: the object may have been recreated under the name. */
    deleteService(facts: ServiceFacts): void {
      lastGood.delete(facts.uid);
      const known = entry(facts.service);
      if (known.facts?.uid === facts.uid) known.facts = undefined;
    },
    /** `objectKey` is namespace/name of the EndpointSlice; `facts` is undefined when it belongs to no Service. */
    setSlice(objectKey: string, facts: SliceFacts | undefined): void {
      if (facts === undefined || sliceOwner.get(objectKey) !== facts.service) removeSlice(objectKey);
      if (facts === undefined) return;
      sliceOwner.set(objectKey, facts.service);
      entry(facts.service).slices.set(objectKey, facts.record);
    },
    deleteSlice: removeSlice,
    /** Recomputes what is exported when the ranges changed. */
    setPodCidrs(podCidrs: readonly Prefix[]): void {
      if (!exports.setPodCidrs(podCidrs)) return;
      for (const service of entries.keys()) dirty.add(service);
    },
    /** For Services without an annotation of it. */
    setRescueAfter(rescueAfter: RescueAfter): void {
      if (rescueAfter === defaultRescueAfter) return;
      defaultRescueAfter = rescueAfter;
      for (const service of entries.keys()) dirty.add(service);
    },
    /** As of the last flush; undefined when there is no such Service. */
    get: (service: ServiceName): KnownService | undefined => entries.get(service)?.reported,
    /** Records of its slices, exported or not. */
    slicesOf: (service: ServiceName): Iterable<HashedRecord> => entries.get(service)?.slices.values() ?? [],
    *all(): Iterable<KnownService> {
      for (const { reported } of entries.values()) if (reported !== undefined) yield reported;
    },
    flush(): ServiceTableFlush {
      const out = { notes: [], changed: [] };
      const touched = [...dirty];
      for (const service of touched) flushOne(service, out);
      dirty.clear();
      return { local: own.take(), exported: exported.take(), touched, ...out };
    },
  };
}

/** Export notes contain numbers that change: an Event is written when the reason first applies, not at each number. */
function sameMatter(a: ServiceNote, b: ServiceNote): boolean {
  return a.topic === b.topic && (a.topic === "export" ? a.reason === b.reason : a.sentence === b.sentence);
}

/** An earlier process reported it already: a restart must not write an Event on each of thousands of Services. */
function isInConditions({ conditions }: ServiceFacts, { sentence, lasting = sentence }: ServiceNote): boolean {
  return conditions.some(({ message }) => message.includes(lasting));
}

function sameSentences(a: readonly ServiceNote[], b: readonly ServiceNote[]): boolean {
  return a.length === b.length && a.every(({ sentence }, i) => sentence === b[i]?.sentence);
}
