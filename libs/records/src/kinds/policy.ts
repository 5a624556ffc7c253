import { Kind, Policy } from "@isthmus/proto";
import { sorted } from "../canonical.js";
import { defineKind, NO_NAMESPACE } from "./record-kind.js";

/** A policy by its object; different resources may have the same names. */
export interface PolicyName {
  /** As in the path of the API: `networkpolicies`. */
  readonly resource: string;
  /** "" for a policy of no namespace. */
  readonly namespace: string;
  /** As in its metadata. */
  readonly name: string;
}

/** The object's bytes are canonical already; the ranges of a group keep their order, and what a Service has is sorted. */
export const POLICY_KIND = defineKind({
  kind: Kind.KIND_POLICY,
  segment: "policies",
  names: ["resource", "namespace", "policy"],
  mayLackNamespace: true,
  exported: false,
  meaning: "A policy: the last generation of its object that was accepted",
  parse: (names) => ({ kind: Kind.KIND_POLICY, policy: parsePolicyName(names) }),
  message: Policy,
  canonical: (policy: Policy) => ({
    ...policy,
    cidrGroups: sorted(policy.cidrGroups, ({ name }) => name),
    services: sorted(policy.services, ({ namespace, name }) => `${namespace}/${name}`),
  }),
});

/** Of a policy as this cluster enforces it; never in the store. */
export const policyRecordKey = ({ resource, namespace, name }: PolicyName): string =>
  `${POLICY_KIND.segment}/${resource}/${namespace === "" ? NO_NAMESPACE : namespace}/${name}`;

function parsePolicyName(names: string): PolicyName {
  const [resource = "", namespace = "", name = ""] = names.split("/");
  return { resource, namespace: namespace === NO_NAMESPACE ? "" : namespace, name };
}
