/** What comes out of every parser of policies, and what is the same in all of them. */
import type { Policy } from "../model/policy.js";
import type { CidrGroups } from "./cilium-cidr-set.js";
import { createReader, type Finding, isAbsent, type Reader, readChoice } from "./findings.js";
import { checkSize } from "./limits.js";
import type { PolicyService } from "./service-query.js";

export type ParsedPolicy =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** Clusters whose endpoints are meant by a selector of a Cilium policy that does not ask for a cluster: the local one, or all. */
export type PolicyScope = "local" | "mesh";

/** What a policy is read for. */
export interface ParseOptions {
  /** Name of the local cluster. */
  readonly cluster: string;
  /** "local", when absent, as Cilium 1.19 does it, or "mesh", as before. */
  readonly defaultScope?: PolicyScope;
  /** CiliumCIDRGroups that Cilium policies may name; none when absent. Policies are read again when one changes. */
  readonly cidrGroups?: CidrGroups;
  /** Services that Cilium policies mean, and no others; none when absent. Policies are read again when one changes. */
  readonly services?: readonly PolicyService[];
}

/** The policy if nothing was found and it is not too large; never throws. `read` returns undefined with findings only. */
export function parseWhole(read: (reader: Reader) => Policy | undefined): ParsedPolicy {
  const reader = createReader();
  const policy = read(reader);
  if (policy !== undefined && reader.findings.length === 0) checkSize(reader, policy);
  if (policy !== undefined && reader.findings.length === 0) return { ok: true, policy };
  return { ok: false, findings: reader.findings };
}

/** Refuses another kind or version; items of a list have neither. */
export function checkKind(reader: Reader, value: unknown, path: string, wanted: string): void {
  if (!isAbsent(value)) readChoice(reader, value, path, [wanted]);
}
