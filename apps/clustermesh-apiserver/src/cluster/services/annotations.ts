/**
 * Parses the mesh annotations of a Service strictly.
 *
 * In: annotations, and the last good values of the same object (by uid). Out: the values in force, and one finding per invalid
 * value. An invalid value leaves the last good one in force, or the default when none is known; the parser never guesses. A
 * removed annotation means its default.
 */
import { Affinity } from "@isthmus/proto";

export interface MeshAnnotations {
  /** The Service is merged with those of its name in other clusters. */
  readonly global: boolean;
  /** Other clusters may use its backends; without effect unless `global`. */
  readonly shared: boolean;
  /** Backends of which clusters come first; without effect unless `global`. */
  readonly affinity: Affinity;
}

export interface AnnotationFinding {
  /** Its name as the user wrote it, of the two that a field may have. */
  readonly annotation: string;
  /** The invalid value in full; the sentence has its first 100 characters. */
  readonly value: string;
  /** What is wrong, what stays in force, what to do. No full stop. */
  readonly sentence: string;
}

export interface ParsedAnnotations {
  /** The values in force now. */
  readonly values: MeshAnnotations;
  /** The `lastGood` argument of the next call; a field that never had a valid value is absent. */
  readonly good: Partial<MeshAnnotations>;
  /** One for each invalid value, in the order global, shared, affinity. */
  readonly findings: readonly AnnotationFinding[];
}

export const DEFAULT_ANNOTATIONS: MeshAnnotations = { global: false, shared: true, affinity: Affinity.AFFINITY_NONE };

/** Annotation names by field; the first one that is present is used. */
const NAMES = {
  global: ["service.cilium.io/global", "io.cilium/global-service"],
  shared: ["service.cilium.io/shared", "io.cilium/shared-service"],
  affinity: ["service.cilium.io/affinity", "io.cilium/service-affinity"],
} as const;

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["false", false],
]);
const AFFINITIES: ReadonlyMap<string, Affinity> = new Map([
  ["none", Affinity.AFFINITY_NONE],
  ["local", Affinity.AFFINITY_LOCAL],
  ["remote", Affinity.AFFINITY_REMOTE],
]);

/** The annotations that are read. Any other under the same prefixes is reported (unserved-annotations.ts). */
export const READ_ANNOTATIONS: ReadonlySet<string> = new Set(Object.values(NAMES).flat());
const PREFIXES = ["mesh.isthmus.io/", "service.cilium.io/"];

/** Keeps the annotations that are read, with their values, and the names alone of the others under the mesh's prefixes. */
export function meshAnnotationsOnly(all: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const kept = Object.entries(all).flatMap(([name, value]) => {
    if (READ_ANNOTATIONS.has(name)) return [[name, value]];
    return PREFIXES.some((prefix) => name.startsWith(prefix)) ? [[name, ""]] : [];
  });
  return Object.fromEntries(kept.sort());
}

/** Never throws. `lastGood`: what the previous call for the same uid returned as `good`. */
export function parseAnnotations(
  annotations: Readonly<Record<string, string>>,
  lastGood: Partial<MeshAnnotations> = {},
): ParsedAnnotations {
  const findings: AnnotationFinding[] = [];
  const read = <F extends keyof MeshAnnotations>(field: F, table: ReadonlyMap<string, MeshAnnotations[F]>) => {
    const annotation = NAMES[field].find((name) => annotations[name] !== undefined);
    if (annotation === undefined) return { [field]: DEFAULT_ANNOTATIONS[field] };
    const value = annotations[annotation] ?? "";
    const known = table.get(value);
    if (known !== undefined) return { [field]: known };
    const last = lastGood[field];
    const stays = `${last === undefined ? "the default" : "the last good value"} "${textOf(table, last ?? DEFAULT_ANNOTATIONS[field])}"`;
    findings.push({ annotation, value, sentence: describe(annotation, value, stays, [...table.keys()]) });
    return last === undefined ? {} : { [field]: last };
  };
  const good: Partial<MeshAnnotations> = {
    ...read("global", BOOLEANS),
    ...read("shared", BOOLEANS),
    ...read("affinity", AFFINITIES),
  };
  return { values: { ...DEFAULT_ANNOTATIONS, ...good }, good, findings };
}

/** The usable fields of values that were saved as JSON. Throws when `saved` is no object. */
export function savedAnnotations({
  global,
  shared,
  affinity,
}: Readonly<Record<string, unknown>>): Partial<MeshAnnotations> {
  return {
    ...(typeof global === "boolean" ? { global } : {}),
    ...(typeof shared === "boolean" ? { shared } : {}),
    ...(affinity === 0 || affinity === 1 || affinity === 2 ? { affinity } : {}),
  };
}

/** The annotation value that means this affinity. */
export function affinityText(affinity: Affinity): string {
  return textOf(AFFINITIES, affinity);
}

function textOf<T>(table: ReadonlyMap<string, T>, meaning: T): string {
  return [...table].find(([, each]) => each === meaning)?.[0] ?? "";
}

function describe(annotation: string, value: string, stays: string, allowed: readonly string[]): string {
  const fix = `Set it to one of ${allowed.map((text) => `"${text}"`).join(", ")}`;
  return `Cannot use annotation "${annotation}" with value "${value.slice(0, 100)}": ${stays} stays in force. ${fix}`;
}
