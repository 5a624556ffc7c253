/**
 * Decides which settings are in force after a change of mesh-config (pure).
 *
 * In: its data, the settings in force, and the ranges of peers and Services. Out: the settings in force now, and a sentence with
 * the field, its value and the fix when they differ from mesh-config. The previous settings stay until usable ones come.
 */
import { formatPrefix, MeshError, type Prefix, prefixContains, prefixesOverlap } from "@isthmus/model";
import { type ConfigData, type MeshConfig, parseMeshConfig, salvageMeshConfig } from "./mesh-config.js";

/** Ranges in use by others: a change of mesh-config must not overlap them. */
export interface ReservedRanges {
  /** The owner as written in an error sentence: `MeshPeer "west"`. */
  readonly owner: string;
  /** The fields of mesh-config that must not overlap them. */
  readonly fields: readonly Field[];
  /** Of one owner; IPv4 and IPv6. */
  readonly cidrs: readonly Prefix[];
}

type Field = "pod-cidrs" | "service-cidrs";

export interface Judgement {
  /** In force now; undefined: neither these settings nor earlier ones are usable. */
  readonly config: MeshConfig | undefined;
  /** Why mesh-config is not in force, and what is instead, without a full stop; undefined when it is. */
  readonly problem: string | undefined;
}

/** `data`: the data of the ConfigMap, or a sentence that says why there is none. */
export function judgeConfig(
  data: ConfigData | string,
  inForce: MeshConfig | undefined,
  taken: readonly ReservedRanges[],
): Judgement {
  if (typeof data === "string") return keepConfig(data, inForce);
  try {
    const config = parseMeshConfig(data);
    if (inForce !== undefined) refuseChange(config, inForce, taken);
    return { config, problem: undefined };
  } catch (thrown) {
    return keepConfig(MeshError.from(thrown).message, inForce ?? salvageMeshConfig(data));
  }
}

function keepConfig(sentence: string, config: MeshConfig | undefined): Judgement {
  if (config === undefined) return { config, problem: `${sentence}. Nothing is served until mesh-config is usable` };
  const stays =
    config.podCidrs === undefined
      ? "Agents are served this cluster's state; the cluster joins no mesh until mesh-config is usable"
      : `The last good values stay in force, "pod-cidrs" "${config.podCidrs.map(formatPrefix).join(",")}" among them`;
  return { config, problem: `${sentence}. ${stays}` };
}

function refuseChange(next: MeshConfig, now: MeshConfig, taken: readonly ReservedRanges[]): void {
  if (next.cluster !== now.cluster) {
    const sentence = `"cluster-name" changed from "${now.cluster}" to "${next.cluster}" while running, restart to change it`;
    throw refused("cluster-name", sentence);
  }
  if (next.id !== now.id) {
    const sentence = `"cluster-id" is "${next.id}", which cannot change: the maps of every node contain it, set it back to "${now.id}"`;
    throw refused("cluster-id", sentence);
  }
  refuseTaken("pod-cidrs", next.podCidrs, now.podCidrs, taken);
  refuseTaken("service-cidrs", next.serviceCidrs, now.serviceCidrs, taken);
}

/** Checks new ranges only: a range in force stays, since the local cluster takes precedence over a peer's claim. */
function refuseTaken(
  field: Field,
  next: readonly Prefix[] = [],
  now: readonly Prefix[] | undefined,
  taken: readonly ReservedRanges[],
): void {
  if (now === undefined) return;
  for (const cidr of next.filter((each) => !now.some((have) => covers(have, each)))) {
    for (const { owner, fields, cidrs } of taken) {
      const other = fields.includes(field) ? cidrs.find((each) => prefixesOverlap(each, cidr)) : undefined;
      if (other === undefined) continue;
      const value = next.map(formatPrefix).join(",");
      const why = `"${formatPrefix(cidr)}" overlaps "${formatPrefix(other)}" of ${owner}`;
      throw refused(field, `"${field}" is "${value}": ${why}; write ranges that do not overlap`);
    }
  }
}

function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && prefixContains(outer, inner.address);
}

function refused(field: string, sentence: string): MeshError<{ code: "MESH_CONFIG"; field: string }> {
  return new MeshError({ code: "MESH_CONFIG", field }, `Cannot use mesh-config: ${sentence}`);
}
