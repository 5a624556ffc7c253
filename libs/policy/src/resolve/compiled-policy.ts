/** A policy with its peers registered and its rules numbered. */
import { type Policy, type PolicyRule, type PolicySpec, type PortMatch, policyKey } from "../model/policy.js";
import { createSelector } from "../model/selector.js";
import type { Matcher, PeerRegistry } from "./peer-registry.js";
import { type RuleName, ruleNumber } from "./rule-name.js";

export interface CompiledRule {
  /** For who explains a verdict. */
  readonly name: RuleName;
  /** Made from the name. */
  readonly number: number;
  /** False: it denies. */
  readonly allow: boolean;
  /** Matchers of the registry; an empty list matches none. */
  readonly peers: "all" | readonly Matcher[];
  /** As the policy has them: those by name differ for each pod. */
  readonly ports: "all" | readonly PortMatch[];
}

/** A spec of a policy; another object for each version of the policy. */
export interface CompiledSpec {
  /** Unique among all; of a later one it is higher. */
  readonly serial: number;
  /** As `policyKey` writes it. */
  readonly policy: string;
  /** Matches the identities of the pods that it is about. */
  readonly subject: Matcher;
  /** Directions in which what no rule allows is denied. */
  readonly isolates: PolicySpec["isolates"];
  /** A rule that is split has two, of one number. */
  readonly rules: readonly CompiledRule[];
}

export interface CompiledPolicy {
  /** As it came. */
  readonly policy: Policy;
  /** In the order of the policy. */
  readonly specs: readonly CompiledSpec[];
}

/** Registers what the policy matches; `nextSerial` returns another number each time. */
export function compilePolicy(policy: Policy, registry: PeerRegistry, nextSerial: () => number): CompiledPolicy {
  const key = policyKey(policy);
  const specs = policy.specs.map(
    (spec): CompiledSpec => ({
      serial: nextSerial(),
      policy: key,
      subject: registry.acquire({ kind: "labels", selector: spec.subject }),
      isolates: spec.isolates,
      rules: spec.rules.flatMap(splitByPeersPorts).map((rule) => compileRule(key, rule, registry)),
    }),
  );
  return { policy, specs };
}

/** Gives back what `compilePolicy` registered. */
export function releasePolicy({ specs }: CompiledPolicy, registry: PeerRegistry): void {
  for (const { subject, rules } of specs) {
    registry.release(subject);
    for (const { peers } of rules) if (peers !== "all") for (const matcher of peers) registry.release(matcher);
  }
}

function compileRule(policy: string, rule: PolicyRule, registry: PeerRegistry): CompiledRule {
  const name = { policy, direction: rule.direction, path: rule.path };
  return {
    name,
    number: ruleNumber(name),
    allow: rule.action === "allow",
    peers: rule.peers === "all" ? "all" : rule.peers.map((peer) => registry.acquire(peer)),
    ports: rule.ports,
  };
}

/**
 * Towards all peers, a port by its name is another one for each identity. So what is said of all that have no row of their own
 * keeps to numbers, and the names are a rule for each identity that there is.
 */
function splitByPeersPorts(rule: PolicyRule): readonly PolicyRule[] {
  if (rule.direction !== "egress" || rule.peers !== "all" || rule.ports === "all") return [rule];
  const named = rule.ports.filter((match) => "name" in match);
  if (named.length === 0) return [rule];
  const everyone = { kind: "labels", selector: createSelector([]) } as const;
  return [
    { ...rule, ports: rule.ports.filter((match) => !("name" in match)) },
    { ...rule, ports: named, peers: [everyone] },
  ];
}
