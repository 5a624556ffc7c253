/**
 * The conditions that a Service should have from this program (pure): one for each kind of problem, none without a problem.
 *
 * A Service without a problem is never written, because every kube-proxy gets an event for each write. The conditions are
 * those that a restarted process would write. A condition about a cluster that has not been received since this process
 * started is kept unchanged.
 */
import type { AnnotationReason, ExportReason, ServiceNote, SpecReason } from "../cluster/services/service-notes.js";
import type { KnownService } from "../cluster/services/service-table.js";
import { CONDITION_PREFIX, type Verdict } from "../objects/conditions.js";
import type { StreamSources } from "../ports/stream-source.js";
import { portMismatches } from "./port-mismatch.js";

export interface WantedConditions {
  /** Sorted by type. */
  readonly verdicts: readonly Verdict[];
  /** True when a condition is kept only because a cluster was not received yet: check again when one was. */
  readonly waiting: boolean;
}

/** The conditions with their reasons, all with status False; docs/reference/conditions.md is made of the comments. */
export interface ServiceReasons {
  /** Every cluster that shares the Service can be used for each of its ports. */
  readonly "mesh.isthmus.io/PortsMatched": /**
   * A port has no counterpart of the same name and protocol in the named clusters, so their backends are not used for it. Fix: give the
   * ports the same names and protocols in all clusters.
   */
  "PortMismatch";
  /** All annotations of the mesh are understood and have an effect. */
  readonly "mesh.isthmus.io/AnnotationsAccepted": AnnotationReason;
  /** Other clusters can use all backends of the Service. */
  readonly "mesh.isthmus.io/BackendsExported": ExportReason;
  /** Every field of the spec is served as written. */
  readonly "mesh.isthmus.io/ServedAsWritten": SpecReason;
}
type ServiceReason = ServiceReasons[keyof ServiceReasons];

const PORTS = `${CONDITION_PREFIX}PortsMatched` as const;
const ANNOTATIONS = `${CONDITION_PREFIX}AnnotationsAccepted` as const;
const EXPORTS = `${CONDITION_PREFIX}BackendsExported` as const;
const SPEC = `${CONDITION_PREFIX}ServedAsWritten` as const;
export const CONDITION_TYPES: readonly string[] = [PORTS, ANNOTATIONS, EXPORTS, SPEC];
const NAMED = 20;

/** The local source is first in `sources`. PortsMatched stays while a cluster that it names is not received. */
export function wantedConditions({ facts, notes }: KnownService, sources: StreamSources): WantedConditions {
  const current = facts.conditions.find(({ type }) => type === PORTS);
  const mismatches = portMismatches(sources, facts.service);
  const waiting =
    mismatches !== undefined && current !== undefined && namedClusters(current.message).some(notReceived(sources));
  const sentences = (mismatches ?? []).map(({ sentence }) => sentence);
  const verdicts = [
    ...fromNotes(notes, "annotations", ANNOTATIONS),
    ...fromNotes(notes, "export", EXPORTS),
    ...(waiting ? [current] : finding(PORTS, "PortMismatch", sentences)),
    ...fromNotes(notes, "spec", SPEC),
  ];
  return {
    verdicts: verdicts.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
    waiting,
  };
}

function fromNotes(
  notes: readonly ServiceNote[],
  topic: ServiceNote["topic"],
  type: keyof ServiceReasons,
): readonly Verdict[] {
  const matching = notes.filter((note) => note.topic === topic);
  const [first] = matching;
  if (first === undefined) return [];
  return finding(
    type,
    first.reason,
    matching.map(({ sentence, lasting }) => lasting ?? sentence),
  );
}

function finding(type: keyof ServiceReasons, reason: ServiceReason, sentences: readonly string[]): readonly Verdict[] {
  if (sentences.length === 0) return [];
  const more = sentences.length > NAMED ? [`${sentences.length - NAMED} more`] : [];
  const message = [...sentences.slice(0, NAMED), ...more].join("; ");
  return [{ type, status: "False", reason, message }];
}

/** True for a cluster that is not verified yet, or not known while peers are still being added. */
function notReceived(sources: StreamSources): (cluster: string) => boolean {
  return (name) => {
    const source = sources.all.find(({ cluster }) => cluster === name);
    return source === undefined ? !sources.complete : !source.isVerified();
  };
}

/** The clusters in a message of `mismatch`. */
function namedClusters(message: string): readonly string[] {
  return [...message.matchAll(/\bcluster "([^"]+)"/g)].map(([, name = ""]) => name);
}
