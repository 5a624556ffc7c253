/**
 * Reads CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy of `cilium.io/v2`, as far as layers 3 and 4 go.
 *
 * In: the object as the API has it. Out: the policy, or findings. What is not supported is not accepted: layer 7, names of DNS,
 * groups, nodes, authentication.
 */
import type { Direction, Policy, PolicyRule, PolicySpec } from "../model/policy.js";
import { readCiliumRules } from "./cilium-rules.js";
import { type CiliumScope, readSubject } from "./cilium-selector.js";
import { describe, type Fields, isAbsent, joinPath, type Reader, readList, readObject, readText } from "./findings.js";
import { createPeerBudget } from "./limits.js";
import { readMetadata } from "./metadata.js";
import { checkKind, type ParsedPolicy, type ParseOptions, parseWhole } from "./parsed-policy.js";
import { checkServiceQueries, createServiceLookup } from "./service-query.js";

type CiliumKind = "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy";

/** Never throws; any value may come in. */
export function parseCiliumNetworkPolicy(object: unknown, options: ParseOptions): ParsedPolicy {
  return parseWhole((reader) => readPolicy(reader, object, "CiliumNetworkPolicy", options));
}

/** As `parseCiliumNetworkPolicy`, for pods of all namespaces. */
export function parseCiliumClusterwideNetworkPolicy(object: unknown, options: ParseOptions): ParsedPolicy {
  return parseWhole((reader) => readPolicy(reader, object, "CiliumClusterwideNetworkPolicy", options));
}

function readPolicy(reader: Reader, object: unknown, kind: CiliumKind, options: ParseOptions): Policy | undefined {
  const fields = readObject(reader, object, "", ["apiVersion", "kind", "metadata", "spec", "specs", "status"]);
  if (fields === undefined) return undefined;
  checkKind(reader, fields["apiVersion"], "apiVersion", "cilium.io/v2");
  checkKind(reader, fields["kind"], "kind", kind);
  const names = readMetadata(reader, fields["metadata"], kind === "CiliumNetworkPolicy");
  if (names === undefined) return undefined;
  const scope = {
    namespace: names.namespace,
    cluster: options.cluster,
    isLocal: options.defaultScope !== "mesh",
    cidrGroups: options.cidrGroups ?? new Map(),
    services: createServiceLookup(options.services ?? []),
    budget: createPeerBudget(),
  };
  checkServiceQueries(reader, object);
  const one = isAbsent(fields["spec"]) ? [] : [[fields["spec"], "spec"] as const];
  const all = [...one, ...readList(reader, fields["specs"], "specs")];
  if (all.length === 0) reader.refuse("spec", "must be there, or specs");
  return { kind, ...names, specs: all.flatMap(([spec, path]) => readSpec(reader, spec, path, scope) ?? []) };
}

/** The lists of a spec. */
const SECTIONS: Readonly<Record<string, Pick<PolicyRule, "direction" | "action">>> = {
  ingress: { direction: "ingress", action: "allow" },
  ingressDeny: { direction: "ingress", action: "deny" },
  egress: { direction: "egress", action: "allow" },
  egressDeny: { direction: "egress", action: "deny" },
};

function readSpec(reader: Reader, value: unknown, path: string, scope: CiliumScope): PolicySpec | undefined {
  const sections = Object.keys(SECTIONS);
  const others = ["endpointSelector", "enableDefaultDeny", "labels", "description"];
  const fields = readObject(reader, value, path, [...others, ...sections]);
  if (fields === undefined) return undefined;
  if (!isAbsent(fields["description"])) readText(reader, fields["description"], joinPath(path, "description"));
  readList(reader, fields["labels"], joinPath(path, "labels"));
  const subject = readSubject(reader, fields["endpointSelector"], joinPath(path, "endpointSelector"), scope);
  const used = new Set<Direction>();
  const rules = Object.entries(SECTIONS).flatMap(([name, kind]) => {
    const at = joinPath(path, name);
    if (readList(reader, fields[name], at).length > 0) used.add(kind.direction);
    return readCiliumRules(reader, fields[name], at, kind, scope);
  });
  if (used.size === 0)
    reader.refuse(path, `must have a rule in ${sections.join(", ")}; an empty one, {}, isolates and allows nothing`);
  return { subject, isolates: readDefaultDeny(reader, fields, path, used), rules };
}

/** Directions that have rules, unless it is said. */
function readDefaultDeny(
  reader: Reader,
  fields: Fields,
  path: string,
  used: ReadonlySet<Direction>,
): ReadonlySet<Direction> {
  const value = fields["enableDefaultDeny"];
  const at = joinPath(path, "enableDefaultDeny");
  const written = isAbsent(value) ? {} : readObject(reader, value, at, ["ingress", "egress"]);
  const directions = (["ingress", "egress"] as const).filter((direction) => {
    const one = written?.[direction];
    if (isAbsent(one)) return used.has(direction);
    if (typeof one !== "boolean") reader.refuse(joinPath(at, direction), `must be true or false, not ${describe(one)}`);
    return one === true;
  });
  return new Set(directions);
}
