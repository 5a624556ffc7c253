/** Derives the notes on a Service: what is not served or not exported as its user wrote it (pure). */
import { formatAddress, formatPrefix, type Prefix } from "@isthmus/model";
import type { ExportedSlice } from "../endpoints/exported-slice.js";
import type { AnnotationFinding, MeshAnnotations } from "./annotations.js";
import type { ServiceFacts } from "./service-facts.js";
import { unservedAnnotations } from "./unserved-annotations.js";
import { unservedSpec } from "./unserved-spec.js";

/** What is wrong with annotations; docs/reference/conditions.md is made of the comments of these three types. */
export type AnnotationReason =
  /** The value of an annotation is not understood; the last good value stays in force. Fix: write one that the message names. */
  | "InvalidAnnotation"
  /** The name of an annotation is not known, so it has no effect. Fix: correct the name, or remove the annotation. */
  | "UnknownAnnotation"
  /** An annotation has no effect in this version or on this Service. Fix: do what the message says, or remove the annotation. */
  | "NotServedAsWritten";

export type SpecReason =
  /** A field of the spec is not served yet, the message says what applies instead. Fix: nothing, or remove the field. */
  "NotServedAsWritten";

export type ExportReason =
  /**
   * Backends outside of the cluster's pod ranges serve their own cluster only. Fix: take the pods off the host network, or add the
   * missing range to "pod-cidrs" in mesh-config and run `mesh connect` again.
   */
  | "BackendsNotExported"
  /** The Service or an EndpointSlice exceeds what other clusters accept. Fix: split the Service, or make the slices smaller. */
  | "TooLargeToExport";

export interface ServiceNote {
  /** Decides in which condition the note is. */
  readonly topic: "annotations" | "spec" | "export";
  /** Reason of the Event, and of the condition when the note is the first of its topic. */
  readonly reason: AnnotationReason | SpecReason | ExportReason;
  /** Without a full stop. */
  readonly sentence: string;
  /** The sentence without numbers that change with every pod, for the condition: it is not rewritten at each change. */
  readonly lasting?: string;
}

export interface NoteInput {
  /** The Service that the notes are on. */
  readonly facts: ServiceFacts;
  /** What `parseAnnotations` found in its annotations. */
  readonly findings: readonly AnnotationFinding[];
  /** The annotation values in force, which sentences name. */
  readonly inForce: MeshAnnotations;
  /** Empty when nothing of the Service's slices is exported. */
  readonly exported: readonly ExportedSlice[];
  /** This cluster's pod ranges, which sentences name; empty while they are not known. */
  readonly podCidrs: readonly Prefix[];
  /** What makes the Service too large for a record; only set when it would be exported. */
  readonly tooLarge: string | undefined;
}

/** In the order annotations, spec, export; empty when everything is served and exported as written. */
export function serviceNotes(input: NoteInput): readonly ServiceNote[] {
  const { facts, findings, inForce } = input;
  if (facts.otherProxy !== undefined) return leftAlone(facts);
  const about = { topic: "annotations" } as const;
  const invalid = findings.map(({ sentence }): ServiceNote => ({ ...about, reason: "InvalidAnnotation", sentence }));
  const unserved = unservedAnnotations(Object.keys(facts.annotations), inForce).map((each) => ({ ...about, ...each }));
  const served = facts.frontends.length === 0 ? withoutFrontend(facts) : notServed(facts);
  return [...invalid, ...unserved, ...served, ...notExported(input), ...tooLargeToExport(input)];
}

function notServed(facts: ServiceFacts): readonly ServiceNote[] {
  return unservedSpec(facts).map((sentence) => ({ topic: "spec", reason: "NotServedAsWritten", sentence }));
}

/** The label asks that the Service be left alone, so that is not reported; mesh annotations next to the label are. */
function leftAlone({ annotations, otherProxy }: ServiceFacts): readonly ServiceNote[] {
  if (Object.keys(annotations).length === 0) return [];
  const sentence = `A Service that its label leaves to proxy "${otherProxy}" is not served here: its mesh annotations have no effect. Remove them, or the label`;
  return [{ topic: "annotations", reason: "NotServedAsWritten", sentence }];
}

function withoutFrontend({ annotations }: ServiceFacts): readonly ServiceNote[] {
  if (Object.keys(annotations).length === 0) return [];
  const sentence =
    "A Service without a ClusterIP has no frontend: its mesh annotations have no effect. Give it one, or remove them";
  return [{ topic: "annotations", reason: "NotServedAsWritten", sentence }];
}

function notExported({ exported, podCidrs }: NoteInput): readonly ServiceNote[] {
  const addresses = [...new Set(exported.flatMap(({ leftOut }) => leftOut.map(formatAddress)))].sort();
  const all = exported.every(({ kept }) => kept === 0);
  const ranges = podCidrs.map(formatPrefix);
  const ofOtherFamily = ranges.some(isIpv6) ? [] : addresses.filter(isIpv6);
  const outside = addresses.filter((address) => !ofOtherFamily.includes(address));
  return [...outsideRanges(outside, ranges, all), ...ipv6NotExported(ofOtherFamily, all)];
}

function outsideRanges(addresses: readonly string[], podCidrs: readonly string[], all: boolean): ServiceNote[] {
  const ranges = podCidrs.map((cidr) => `"${cidr}"`).join(", ");
  const why = `outside this cluster's pod ranges ${ranges}, as pods on the host network and addresses written by hand are`;
  const fix = `Other clusters do without. Take the pods off the host network; if a range of ordinary pods is missing, add it to "pod-cidrs" in mesh-config and run "mesh connect" again`;
  return leftOut(addresses, all, { one: `is ${why}. ${fix}`, every: `addresses are ${why}. ${fix}` });
}

/** IPv6 backends in a cluster whose pod ranges are IPv4: a dual-stack or an IPv6-only Service. */
function ipv6NotExported(addresses: readonly string[], all: boolean): ServiceNote[] {
  const why = "and only IPv4 goes to other clusters yet";
  const fix = all
    ? 'Other clusters do without. Give the Service an IPv4 address: set "spec.ipFamilyPolicy" to "PreferDualStack"'
    : "Other clusters use the IPv4 ones";
  return leftOut(addresses, all, { one: `is an IPv6 address, ${why}. ${fix}`, every: `some are IPv6, ${why}. ${fix}` });
}

function leftOut(
  addresses: readonly string[],
  all: boolean,
  { one, every }: { readonly one: string; readonly every: string },
): ServiceNote[] {
  const [example] = addresses;
  if (example === undefined) return [];
  return [
    {
      topic: "export",
      reason: "BackendsNotExported",
      sentence: `Cannot export ${amount(addresses.length, all)}: "${example}" ${one}`,
      lasting: `Cannot export ${all ? "any" : "some"} of its backends: ${every}`,
    },
  ];
}

/** Every cluster has the same bounds of a record, so what exceeds them is exported to none. */
function tooLargeToExport({ exported, tooLarge }: NoteInput): readonly ServiceNote[] {
  const slices = exported.filter((slice) => slice.tooLarge !== undefined);
  const [example] = slices;
  if (tooLarge === undefined && example === undefined) return [];
  const sentence =
    tooLarge !== undefined
      ? `Cannot export the Service: ${tooLarge}. Other clusters do without; split it into several Services`
      : `Cannot export ${slices.length} of its ${exported.length} EndpointSlices: ${example?.tooLarge}. Other clusters do without their backends; make the slices smaller`;
  const lasting = tooLarge === undefined ? "Cannot export some of its EndpointSlices: they are too large" : sentence;
  return [{ topic: "export", reason: "TooLargeToExport", sentence, lasting }];
}

function amount(count: number, all: boolean): string {
  if (!all) return `${count} of its backends`;
  return count === 1 ? "its only backend" : `any of its ${count} backends`;
}

function isIpv6(text: string): boolean {
  return text.includes(":");
}
