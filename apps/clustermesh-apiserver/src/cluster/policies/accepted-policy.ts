/** What agents get of a policy: its object and all that it is parsed with, so that they read it as this process did (pure). */
import type { Finding, ParsedPolicy, PolicyScope } from "@isthmus/policy";
import type { CidrGroup, Label, PolicyService } from "@isthmus/proto";
import { MAX_POLICY_BYTES, type PolicyFacts } from "./policy-facts.js";
import type { PolicyResource } from "./policy-resources.js";
import type { ServiceIndex } from "./service-index.js";

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
  /** Those that its `toServices` mean and that exist, sorted by namespace and name. */
  readonly services: readonly PolicyService[];
}

/** What policies are parsed with beside their objects. */
export interface PolicyContext {
  /** Ranges of each CiliumCIDRGroup, by its name. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** Of Cilium's kinds. */
  readonly scope: PolicyScope;
  /** Of the local cluster. */
  readonly services: ServiceIndex;
}

/** The present generation of a policy with all that it is parsed with; or why it cannot be kept. */
export function policyContent(
  facts: PolicyFacts,
  { groups, scope, services }: PolicyContext,
): AcceptedPolicy | Finding {
  const { of, generation, object } = facts;
  if (typeof object !== "string") return object;
  const cidrGroups = facts.groups.flatMap((name) => {
    const cidrs = groups.get(name);
    return cidrs === undefined ? [] : [{ name, cidrs: [...cidrs] }];
  });
  const meshScope = of.isCustom && scope === "mesh";
  return { generation, object, cidrGroups, meshScope, services: services.find(facts.services) };
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
  const { generation, object, cidrGroups = [], meshScope = false, services = [] } = line;
  if (typeof generation !== "number" || typeof object !== "string") return {};
  if (!isGroups(cidrGroups) || !isServices(services)) return {};
  return { generation, object, cidrGroups, meshScope: meshScope === true, services };
}

function isGroups(value: unknown): value is CidrGroup[] {
  return isListOf(value, ({ name, cidrs }: Partial<CidrGroup>) => isText(name) && isListOf(cidrs, isText));
}

function isServices(value: unknown): value is PolicyService[] {
  const isLabel = ({ key, value: text }: Partial<Label>) => isText(key) && isText(text);
  return isListOf(value, ({ namespace, name, labels, selector, addresses }: Partial<PolicyService>) => {
    const areNames = isText(namespace) && isText(name);
    return areNames && isListOf(labels, isLabel) && isListOf(selector, isLabel) && isListOf(addresses, isText);
  });
}

function isListOf(value: unknown, isOne: (one: never) => boolean): boolean {
  return Array.isArray(value) && value.every((one: unknown) => one !== null && isOne(one as never));
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** Parses it as agents do. `cluster`: name of the local one. */
export function parsePolicy(of: PolicyResource, policy: AcceptedPolicy, cluster: string): ParsedPolicy {
  const { object, cidrGroups, meshScope, services } = policy;
  const bytes = byteLength(policy);
  if (bytes > MAX_POLICY_BYTES) {
    const sentence = `Field "spec" has ${bytes} bytes with its CiliumCIDRGroups and Services, more than ${MAX_POLICY_BYTES}: split it into several policies`;
    return { ok: false, findings: [{ path: "spec", sentence }] };
  }
  return of.parse(JSON.parse(object), {
    cluster,
    cidrGroups: new Map(cidrGroups.map(({ name, cidrs }) => [name, cidrs])),
    services,
    ...(meshScope ? { defaultScope: "mesh" } : {}),
  });
}

function byteLength({ object, cidrGroups, services }: AcceptedPolicy): number {
  let bytes = Buffer.byteLength(object);
  const add = (texts: readonly string[]) => {
    for (const text of texts) bytes += Buffer.byteLength(text);
  };
  for (const { name, cidrs } of cidrGroups) add([name, ...cidrs]);
  for (const { namespace, name, labels, selector, addresses } of services) {
    add([namespace, name, ...addresses]);
    for (const { key, value } of [...labels, ...selector]) add([key, value]);
  }
  return bytes;
}
