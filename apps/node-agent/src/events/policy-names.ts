/**
 * What identities and rules stand for: asked of the engine that resolves policies. It is as of its last flush, which may be ahead of
 * the maps by which a program decided.
 */
import type { IdentityNumber } from "@isthmus/identity";
import { bytesKey } from "@isthmus/model";
import { type DesiredSubject, type NamedIdentity, nameIdentity } from "@isthmus/node-policy";
import { type Direction, type Identity, type PolicyEngine, parsePolicyKey, type RuleName } from "@isthmus/policy";
import type { PolicyName } from "@isthmus/proto";

export interface PolicyNames {
  /** The identity of the pod of this node that has this address (16 bytes); 0: not known. */
  identityAt(address: Uint8Array): number;
  /** Undefined: the number stands for nothing any more. */
  identity(number: number): NamedIdentity | undefined;
  /** The rules with this number. */
  rules(number: number): readonly RuleName[];
  /** The policies that isolate the pod with this address in this direction. */
  isolating(address: Uint8Array, direction: Direction): readonly PolicyName[];
}

/** Follows both, which are of one builder. */
export function createPolicyNames(
  { subjects }: { readonly subjects: ReadonlyMap<string, Pick<DesiredSubject, "identity">> },
  engine: Pick<PolicyEngine, "identityOf" | "rulesOf" | "policiesOf">,
): PolicyNames {
  const named = new WeakMap<Identity, NamedIdentity>();
  return {
    identityAt: (address) => subjects.get(bytesKey(address))?.identity ?? 0,
    identity(number) {
      const identity = engine.identityOf(number as IdentityNumber);
      if (identity === undefined) return undefined;
      const before = named.get(identity);
      if (before !== undefined) return before;
      const now = nameIdentity(identity);
      named.set(identity, now);
      return now;
    },
    rules: engine.rulesOf,
    isolating(address, direction) {
      const all = engine.policiesOf(bytesKey(address)).filter(({ isolates }) => isolates.has(direction));
      // Of several specs of one policy each is an entry.
      return [...new Set(all.map(({ policy }) => policy))].map(parsePolicyKey);
    },
  };
}
