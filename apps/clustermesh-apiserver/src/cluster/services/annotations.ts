/**
 * Parses the mesh annotations of a Service strictly.
 *
 * In: annotations, and the last good values of the same object (by uid). Out: the values in force, and one finding per invalid
 * value. An invalid value leaves the last good one in force, or the default when none is known; the parser never guesses. A
 * removed annotation means its default.
 */
import { formatRescueAfter, parseRescueAfter, RESCUE_AFTER_VALUES, type RescueAfter } from "@isthmus/model";
import { Affinity } from "@isthmus/proto";

export interface MeshAnnotations {
  /** The Service is merged with those of its name in other clusters. */
  readonly global: boolean;
  /** Other clusters may use its backends; without effect unless `global`. */
  readonly shared: boolean;
  /** Backends of which clusters come first; without effect unless `global`. */
  readonly affinity: Affinity;
  /** When connects of this cluster's clients are moved to another backend; undefined: the cluster's default. */
  readonly rescueAfter: RescueAfter | undefined;
}

/** The values in force, with the cluster's defaults. */
export interface ServiceSettings extends MeshAnnotations {
  readonly rescueAfter: RescueAfter;
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
  /** One for each invalid value, in the order global, shared, affinity, rescue-after. */
  readonly findings: readonly AnnotationFinding[];
}

export const DEFAULT_ANNOTATIONS: MeshAnnotations = {
  global: false,
  shared: true,
  affinity: Affinity.AFFINITY_NONE,
  rescueAfter: undefined,
};

/** Annotation names by field; the first one that is present is used. */
const NAMES = {
  global: ["service.cilium.io/global", "io.cilium/global-service"],
  shared: ["service.cilium.io/shared", "io.cilium/shared-service"],
  affinity: ["service.cilium.io/affinity", "io.cilium/service-affinity"],
  rescueAfter: ["mesh.isthmus.io/rescue-after"],
} as const;

/** The texts that an annotation may have. */
interface Values<T> {
  /** Undefined for an invalid text. */
  parse(text: string): T | undefined;
  /** The value as one would write it. */
  format(value: T): string;
  /** What may be written. */
  readonly allowed: string;
}

const BOOLEANS = oneOf(new Map([["true", true] as const, ["false", false] as const]));
const AFFINITIES = oneOf(
  new Map<string, Affinity>([
    ["none", Affinity.AFFINITY_NONE],
    ["local", Affinity.AFFINITY_LOCAL],
    ["remote", Affinity.AFFINITY_REMOTE],
  ]),
);
const RESCUE_AFTER: Values<MeshAnnotations["rescueAfter"]> = {
  parse: parseRescueAfter,
  format: (value) => (value === undefined ? "" : formatRescueAfter(value)),
  allowed: RESCUE_AFTER_VALUES,
};

/** The annotations that are read. Any other under the same prefixes is reported (unserved-annotations.ts). */
export const READ_ANNOTATIONS: ReadonlySet<string> = new Set(Object.values(NAMES).flat());
/** The newest name of each. */
export const CURRENT_NAMES: readonly string[] = Object.values(NAMES).map(([name]) => name);
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
  const read = <F extends keyof MeshAnnotations>(field: F, values: Values<MeshAnnotations[F]>) => {
    const annotation = NAMES[field].find((name) => annotations[name] !== undefined);
    if (annotation === undefined) return { [field]: DEFAULT_ANNOTATIONS[field] };
    const value = annotations[annotation] ?? "";
    const known = values.parse(value);
    if (known !== undefined) return { [field]: known };
    const last = lastGood[field];
    findings.push({ annotation, value, sentence: describe(annotation, value, inForce(field, last, values), values) });
    return last === undefined ? {} : { [field]: last };
  };
  const good: Partial<MeshAnnotations> = {
    ...read("global", BOOLEANS),
    ...read("shared", BOOLEANS),
    ...read("affinity", AFFINITIES),
    ...read("rescueAfter", RESCUE_AFTER),
  };
  return { values: { ...DEFAULT_ANNOTATIONS, ...good }, good, findings };
}

/** The usable fields of values that were saved as JSON. Throws when `saved` is no object. */
export function savedAnnotations({
  global,
  shared,
  affinity,
  rescueAfter,
}: Readonly<Record<string, unknown>>): Partial<MeshAnnotations> {
  const rescue = parseRescueAfter(typeof rescueAfter === "number" ? `${rescueAfter}ms` : String(rescueAfter));
  return {
    ...(typeof global === "boolean" ? { global } : {}),
    ...(typeof shared === "boolean" ? { shared } : {}),
    ...(affinity === 0 || affinity === 1 || affinity === 2 ? { affinity } : {}),
    ...(rescue === undefined ? {} : { rescueAfter: rescue }),
  };
}

/** The annotation value that means this affinity. */
export function affinityText(affinity: Affinity): string {
  return AFFINITIES.format(affinity);
}

function oneOf<T>(table: ReadonlyMap<string, T>): Values<T> {
  return {
    parse: (text) => table.get(text),
    format: (value) => [...table].find(([, each]) => each === value)?.[0] ?? "",
    allowed: `one of ${[...table.keys()].map((text) => `"${text}"`).join(", ")}`,
  };
}

/** What an invalid value leaves in force. */
function inForce<F extends keyof MeshAnnotations>(
  field: F,
  last: MeshAnnotations[F] | undefined,
  { format }: Values<MeshAnnotations[F]>,
): string {
  if (last !== undefined) return `the last good value "${format(last)}"`;
  const byDefault = DEFAULT_ANNOTATIONS[field];
  return byDefault === undefined ? "the cluster's default" : `the default "${format(byDefault)}"`;
}

function describe(annotation: string, value: string, stays: string, { allowed }: { readonly allowed: string }): string {
  return `Cannot use annotation "${annotation}" with value "${value.slice(0, 100)}": ${stays} stays in force. Set it to ${allowed}`;
}
