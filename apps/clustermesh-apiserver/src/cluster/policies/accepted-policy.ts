/** What agents get of a policy: its object and all that it is parsed with, so that they read it as this process did (pure). */
import type { Finding, ParsedPolicy, PolicyScope } from "@isthmus/policy";
import type { CidrGroup } from "@isthmus/proto";
import { MAX_POLICY_BYTES, type PolicyFacts } from "./policy-facts.js";
import type { PolicyResource } from "./policy-resources.js";

/** The content of a policy at one generation. */
export interface AcceptedPolicy {
  /** Of the object when it had this content. */
  readonly generation: number;
  /** Canonical JSON. */
  readonly object: string;
  /** Those that it names and that exist, sorted by name. */
  readonly cidrGroups: readonly CidrGroup[];
  /** A selector of a Cilium policy that asks for no cluster means all of them. */
  readonly meshScope: boolean;
}

/** What policies are parsed with beside their objects. */
export interface PolicyContext {
  /** Ranges of each CiliumCIDRGroup, by its name. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** Of Cilium's kinds. */
  readonly scope: PolicyScope;
}

/** The present generation of a policy with all that it is parsed with; or why it cannot be kept. */
export function policyContent(facts: PolicyFacts, { groups, scope }: PolicyContext): AcceptedPolicy | Finding {
  const { of, generation, object } = facts;
  if (typeof object !== "string") return object;
  const cidrGroups = facts.groups.flatMap((name) => {
    const cidrs = groups.get(name);
    return cidrs === undefined ? [] : [{ name, cidrs: [...cidrs] }];
  });
  return { generation, object, cidrGroups, meshScope: of.isCustom && scope === "mesh" };
}

/** Why the content is not accepted; none: it is. `cluster`: name of the local one. */
export function contentFindings(
  of: PolicyResource,
  content: AcceptedPolicy | Finding,
  cluster: string,
): readonly Finding[] {
  if (!("object" in content)) return [content];
  const parsed = parsePolicy(of, content, cluster);
  return parsed.ok ? [] : parsed.findings;
}

/** The usable part of a saved line. */
export function savedPolicy(line: Readonly<Record<string, unknown>>): Partial<AcceptedPolicy> {
  const { generation, object, cidrGroups = [], meshScope = false } = line;
  if (typeof generation !== "number" || typeof object !== "string" || !isGroups(cidrGroups)) return {};
  return { generation, object, cidrGroups, meshScope: meshScope === true };
}

function isGroups(value: unknown): value is CidrGroup[] {
  const isText = (one: unknown) => typeof one === "string";
  return (
    Array.isArray(value) &&
    value.every(({ name, cidrs }: Partial<CidrGroup>) => isText(name) && Array.isArray(cidrs) && cidrs.every(isText))
  );
}

/** Parses it as agents do. `cluster`: name of the local one. */
export function parsePolicy(of: PolicyResource, policy: AcceptedPolicy, cluster: string): ParsedPolicy {
  const { object, cidrGroups, meshScope } = policy;
  const bytes = byteLength(policy);
  if (bytes > MAX_POLICY_BYTES) {
    const sentence = `Field "spec" has ${bytes} bytes with its CiliumCIDRGroups, more than ${MAX_POLICY_BYTES}: split it into several policies`;
    return { ok: false, findings: [{ path: "spec", sentence }] };
  }
  return of.parse(JSON.parse(object), {
    cluster,
    cidrGroups: new Map(cidrGroups.map(({ name, cidrs }) => [name, cidrs])),
    ...(meshScope ? { defaultScope: "mesh" } : {}),
  });
}

function byteLength({ object, cidrGroups }: AcceptedPolicy): number {
  let bytes = Buffer.byteLength(object);
  for (const { name, cidrs } of cidrGroups) for (const text of [name, ...cidrs]) bytes += Buffer.byteLength(text);
  return bytes;
}
