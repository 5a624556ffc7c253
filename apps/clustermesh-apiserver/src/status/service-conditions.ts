/**
 * The conditions that a Service should have from us (pure): one for each thing that is wrong with it, none when all is well.
 *
 *   mesh.isthmus.io/PortsMatched         another cluster cannot be used for a port
 *   mesh.isthmus.io/AnnotationsAccepted  an annotation is not understood, not known, or without effect
 *   mesh.isthmus.io/BackendsExported     backends outside the pod ranges stay here
 *   mesh.isthmus.io/ServedAsWritten      a field of its spec has no effect yet: node ports, sessionAffinity, …
 *
 * Absent means well, so that a Service without a finding is never written to: every kube-proxy hears of each write, and what
 * stands on an object is what a fresh start would write. What was said of a cluster that has not been heard since this
 * process began stays as it stands.
 */
import { CONDITION_PREFIX } from "../cluster/service-facts.js";
import type { ServiceNote } from "../cluster/service-notes.js";
import type { KnownService } from "../cluster/service-table.js";
import type { Verdict } from "../config/conditions.js";
import type { StreamSources } from "../serve/stream-source.js";
import { portMismatches } from "./port-mismatch.js";

export interface WantedConditions {
  /** Sorted by type. */
  readonly verdicts: readonly Verdict[];
  /** Something stays only because a cluster was not heard yet: look again when one was. */
  readonly waiting: boolean;
}

const PORTS = `${CONDITION_PREFIX}PortsMatched`;
const ANNOTATIONS = `${CONDITION_PREFIX}AnnotationsAccepted`;
const EXPORTS = `${CONDITION_PREFIX}BackendsExported`;
const SPEC = `${CONDITION_PREFIX}ServedAsWritten`;
export const CONDITION_TYPES: readonly string[] = [PORTS, ANNOTATIONS, EXPORTS, SPEC];
const NAMED = 20;

export function wantedConditions({ facts, notes }: KnownService, sources: StreamSources): WantedConditions {
  const held = facts.conditions.find(({ type }) => type === PORTS);
  const mismatches = portMismatches(sources, facts.service);
  const waiting = mismatches !== undefined && held !== undefined && namedClusters(held.message).some(unheard(sources));
  const sentences = (mismatches ?? []).map(({ sentence }) => sentence);
  const verdicts = [
    ...said(notes, "annotations", ANNOTATIONS),
    ...said(notes, "export", EXPORTS),
    ...(waiting ? [held] : finding(PORTS, "PortMismatch", sentences)),
    ...said(notes, "spec", SPEC),
  ];
  return {
    verdicts: verdicts.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
    waiting,
  };
}

function said(notes: readonly ServiceNote[], topic: ServiceNote["topic"], type: string): readonly Verdict[] {
  const found = notes.filter((note) => note.topic === topic);
  return finding(
    type,
    found[0]?.reason ?? "",
    found.map(({ sentence, lasting }) => lasting ?? sentence),
  );
}

function finding(type: string, reason: string, sentences: readonly string[]): readonly Verdict[] {
  if (sentences.length === 0) return [];
  const more = sentences.length > NAMED ? [`${sentences.length - NAMED} more`] : [];
  const message = [...sentences.slice(0, NAMED), ...more].join("; ");
  return [{ type, status: "False", reason, message }];
}

function unheard(sources: StreamSources): (cluster: string) => boolean {
  return (name) => {
    const source = sources.all.find(({ cluster }) => cluster === name);
    return source === undefined ? !sources.complete : !source.proved();
  };
}

/** As `mismatch` writes them. */
function namedClusters(message: string): readonly string[] {
  return [...message.matchAll(/\bcluster "([^"]+)"/g)].map(([, name = ""]) => name);
}
