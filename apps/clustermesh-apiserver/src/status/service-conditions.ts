/**
 * The conditions that a Service should have from this program (pure): one for each kind of problem, none without a problem.
 *
 *   mesh.isthmus.io/PortsMatched         another cluster cannot be used for a port
 *   mesh.isthmus.io/AnnotationsAccepted  an annotation is not understood, not known, or without effect
 *   mesh.isthmus.io/BackendsExported     backends outside the pod ranges are not exported
 *   mesh.isthmus.io/ServedAsWritten      a field of its spec has no effect yet: node ports, sessionAffinity, …
 *
 * A Service without a problem is never written, because every kube-proxy gets an event for each write. The conditions are
 * those that a restarted process would write. A condition about a cluster that has not been received since this process
 * started is kept unchanged.
 */
import { CONDITION_PREFIX } from "../cluster/services/service-facts.js";
import type { ServiceNote } from "../cluster/services/service-notes.js";
import type { KnownService } from "../cluster/services/service-table.js";
import type { Verdict } from "../objects/conditions.js";
import type { StreamSources } from "../ports/stream-source.js";
import { portMismatches } from "./port-mismatch.js";

export interface WantedConditions {
  /** Sorted by type. */
  readonly verdicts: readonly Verdict[];
  /** True when a condition is kept only because a cluster was not received yet: check again when one was. */
  readonly waiting: boolean;
}

const PORTS = `${CONDITION_PREFIX}PortsMatched`;
const ANNOTATIONS = `${CONDITION_PREFIX}AnnotationsAccepted`;
const EXPORTS = `${CONDITION_PREFIX}BackendsExported`;
const SPEC = `${CONDITION_PREFIX}ServedAsWritten`;
export const CONDITION_TYPES: readonly string[] = [PORTS, ANNOTATIONS, EXPORTS, SPEC];
const NAMED = 20;

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

function fromNotes(notes: readonly ServiceNote[], topic: ServiceNote["topic"], type: string): readonly Verdict[] {
  const matching = notes.filter((note) => note.topic === topic);
  return finding(
    type,
    matching[0]?.reason ?? "",
    matching.map(({ sentence, lasting }) => lasting ?? sentence),
  );
}

function finding(type: string, reason: string, sentences: readonly string[]): readonly Verdict[] {
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
