/**
 * Annotations under the prefixes of the mesh that this version does not act on (pure): each is reported, with what stays in
 * force. One that nobody knows is most often a slip of the pen, and silence would hide it.
 */
import { affinityText, type MeshAnnotations, READ_ANNOTATIONS } from "./annotations.js";

export interface UnservedAnnotation {
  readonly reason: "NotServedAsWritten" | "UnknownAnnotation";
  /** What has no effect, what stays in force, what to do. No full stop. */
  readonly sentence: string;
}

/** Part of the design, not built yet: what holds instead. */
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
/** A Service with a thousand of them gets one sentence. */
const NAMED = 5;

export function unservedAnnotations(names: readonly string[], inForce: MeshAnnotations): readonly UnservedAnnotation[] {
  const found: UnservedAnnotation[] = [];
  const unknown: string[] = [];
  for (const name of [...names].sort()) {
    const instead = PLANNED.get(name);
    if (instead !== undefined) {
      const sentence = `Annotation "${name}" has no effect in this version: ${instead(inForce)}`;
      found.push({ reason: "NotServedAsWritten", sentence });
    } else if (!READ_ANNOTATIONS.has(name)) unknown.push(`"${name}"`);
  }
  if (unknown.length > 0) found.push({ reason: "UnknownAnnotation", sentence: describe(unknown) });
  return found;
}

function describe(unknown: readonly string[]): string {
  const more = unknown.length > NAMED ? ` and ${unknown.length - NAMED} more` : "";
  const read = ["global", "shared", "affinity"].map((name) => `"service.cilium.io/${name}"`).join(", ");
  return `Cannot use annotation ${unknown.slice(0, NAMED).join(", ")}${more}: the name is not known, it has no effect. Remove it, or write one of ${read}`;
}
