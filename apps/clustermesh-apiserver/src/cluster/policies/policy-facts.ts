/** A policy object → what is kept of it: its names, and the text that agents parse (pure). */
import { apiVersion, type KubeObject, type MeshCondition } from "@isthmus/kube";
import { type Finding, type ServiceQuery, serviceQueries } from "@isthmus/policy";
import { CONDITION_PREFIX } from "../../objects/conditions.js";
import { canonicalJson } from "./canonical-json.js";
import type { PolicyResource } from "./policy-resources.js";

/** Of those that are kept; this program writes two. */
const MAX_CONDITIONS = 16;

/** Bytes of the JSON of one policy; etcd takes objects of 1.5 MiB at most. */
export const MAX_POLICY_BYTES = 1 << 20;

export interface PolicyFacts {
  /** Decides the kind of the object, and how it is read. */
  readonly of: PolicyResource;
  /** "" for a policy of no namespace. */
  readonly namespace: string;
  /** As in its metadata. */
  readonly name: string;
  /** Another one after a deletion and a new creation. */
  readonly uid: string;
  /** Counts the changes of the spec. */
  readonly generation: number;
  /** When the object was created, in whole seconds as the API writes it. */
  readonly created: string;
  /** What the parser reads of the object, as canonical JSON; or why the object cannot be kept. */
  readonly object: string | Finding;
  /** Names of the CiliumCIDRGroups that it refers to, sorted. */
  readonly groups: readonly string[];
  /** What its `toServices` mean; none of an object that cannot be kept. */
  readonly services: readonly ServiceQuery[];
  /** The conditions of the mesh in its status. */
  readonly conditions: readonly MeshCondition[];
}

/** Never throws. The same for an object of a list, which names no kind, and of a watch. */
export function policyFacts(of: PolicyResource, { metadata, ...object }: KubeObject): PolicyFacts {
  const { name = "", namespace = "", uid = "", generation = 0, creationTimestamp: created = "" } = metadata;
  const { status, ...written } = object as Omit<KubeObject, "metadata"> & { readonly status?: unknown };
  const names = { name, ...(of.resource.namespaced ? { namespace } : {}) };
  const { resource } = of;
  const text = canonicalJson({ ...written, apiVersion: apiVersion(resource), kind: resource.kind, metadata: names });
  return {
    ...{ of, namespace: names.namespace ?? "", name, uid, generation, created },
    object: bounded(text),
    groups: of.isCustom && text !== undefined ? [...new Set(groupNames(written))].sort() : [],
    services: of.isCustom && text !== undefined ? serviceQueries(written) : [],
    conditions: meshConditions(status),
  };
}

/** The names of CiliumCIDRGroups anywhere in a value that is not nested deeply. */
function groupNames(value: unknown): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) =>
    key === "cidrGroupRef" && typeof one === "string" ? [one] : groupNames(one),
  );
}

const NO_CONDITIONS: readonly MeshCondition[] = [];

/** No schema of ours need have checked the status. */
function meshConditions(status: unknown): readonly MeshCondition[] {
  const all: unknown = (status as { readonly conditions?: unknown } | null | undefined)?.conditions;
  if (!Array.isArray(all)) return NO_CONDITIONS;
  const own = all.filter((one: unknown): one is MeshCondition =>
    String((one as { readonly type?: unknown } | null)?.type).startsWith(CONDITION_PREFIX),
  );
  return own.length === 0 ? NO_CONDITIONS : own.slice(0, MAX_CONDITIONS);
}

function bounded(text: string | undefined): string | Finding {
  if (text === undefined)
    return { path: "spec", sentence: 'Field "spec" is nested too deeply: remove what no policy has' };
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_POLICY_BYTES) return text;
  const sentence = `Field "spec" has ${bytes} bytes, more than ${MAX_POLICY_BYTES}: split it into several policies`;
  return { path: "spec", sentence };
}
