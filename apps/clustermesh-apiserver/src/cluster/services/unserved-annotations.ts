/**
 * Reports annotations under the mesh's prefixes that this version does not act on, with what stays in force (pure). Unknown
 * names are reported too: most are typing errors.
 */
import { affinityText, CURRENT_NAMES, type MeshAnnotations, READ_ANNOTATIONS } from "./annotations.js";

export interface UnservedAnnotation {
  /** `NotServedAsWritten` for a known name that is not implemented yet. */
  readonly reason: "NotServedAsWritten" | "UnknownAnnotation";
  /** What has no effect, what stays in force, what to do. No full stop. */
  readonly sentence: string;
}

/** Annotations of the design that are not implemented yet → what applies instead. */
const PLANNED: ReadonlyMap<string, (inForce: MeshAnnotations) => string> = new Map<
  string,
  (inForce: MeshAnnotations) => string
>([
  [
    "mesh.isthmus.io/failover",
    ({ affinity }) => `affinity "${affinityText(affinity)}" stays in force. Set "service.cilium.io/affinity" instead`,
  ],
  ["mesh.isthmus.io/weights", () => "new connections are spread by the number of backends. Remove it"],
  ["mesh.isthmus.io/min-healthy", () => "a tier serves while it has one ready backend. Remove it"],
  ["mesh.isthmus.io/on-failover", () => "established connections stay where they are. Remove it"],
  ["mesh.isthmus.io/health", () => "a backend is as healthy as Kubernetes says. Remove it"],
]);
/** At most this many names in the sentence, whatever their number. */
const NAMED = 5;

/** One for each name that is not implemented, sorted by name; then one for all unknown names together. */
export function unservedAnnotations(names: readonly string[], inForce: MeshAnnotations): readonly UnservedAnnotation[] {
  const unserved: UnservedAnnotation[] = [];
  const unknown: string[] = [];
  for (const name of [...names].sort()) {
    const instead = PLANNED.get(name);
    if (instead !== undefined) {
      const sentence = `Annotation "${name}" has no effect in this version: ${instead(inForce)}`;
      unserved.push({ reason: "NotServedAsWritten", sentence });
    } else if (!READ_ANNOTATIONS.has(name)) unknown.push(`"${name}"`);
  }
  if (unknown.length > 0) unserved.push({ reason: "UnknownAnnotation", sentence: describe(unknown) });
  return unserved;
}

function describe(unknown: readonly string[]): string {
  const more = unknown.length > NAMED ? ` and ${unknown.length - NAMED} more` : "";
  const read = CURRENT_NAMES.map((name) => `"${name}"`).join(", ");
  return `Cannot use annotation ${unknown.slice(0, NAMED).join(", ")}${more}: the name is not known, it has no effect. Remove it, or write one of ${read}`;
}
