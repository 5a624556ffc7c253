/**
 * What identities and rules stand for: asked of the engine that resolves policies. It is as of its last flush, which may be ahead of
 * the maps by which a program decided.
 */
import type { IdentityNumber } from "@isthmus/identity";
import { bytesKey, formatPrefix } from "@isthmus/model";
import {
  CLUSTER_LABEL,
  type Direction,
  type Identity,
  type Labels,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS,
  type PolicyEngine,
  parsePolicyKey,
  type RuleName,
  SERVICE_ACCOUNT_LABEL,
} from "@isthmus/policy";
import type { EventIdentity, PolicyName } from "@isthmus/proto";
import { BOUNDS } from "@isthmus/records";
import type { DesiredSubject } from "../desired/policy/desired-policy.js";

export interface NamedIdentity extends Readonly<Omit<EventIdentity, "number">> {
  /** Of keys and values of `labels`. */
  readonly labelBytes: number;
}

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

/** Of one identity in an event. */
const MAX_LABELS = 64;
const MAX_LABEL_BYTES = 16 << 10;

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
      const prefix = identity.prefix === undefined ? "" : formatPrefix(identity.prefix);
      const now = { ...boundedLabels(identity.labels), prefix };
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

/** The pod's own labels come before those of its namespace. Those of other clusters need not be ASCII, and a server counts bytes. */
function boundedLabels(all: Labels): Omit<NamedIdentity, "prefix"> {
  const labels: EventIdentity["labels"] = [];
  let labelBytes = 0;
  for (const [key, value] of [...all].sort(([a], [b]) => order(a) - order(b) || (a < b ? -1 : 1))) {
    const [keyBytes, valueBytes] = [Buffer.byteLength(key), Buffer.byteLength(value)];
    const fits = keyBytes <= BOUNDS.labelKey && valueBytes <= BOUNDS.identityLabelValue;
    if (!fits || labels.length === MAX_LABELS || labelBytes + keyBytes + valueBytes > MAX_LABEL_BYTES) continue;
    labels.push({ key, value });
    labelBytes += keyBytes + valueBytes;
  }
  return { labels, moreLabels: all.size - labels.length, labelBytes };
}

function order(key: string): number {
  if (key === NAMESPACE_LABEL || key === CLUSTER_LABEL || key === SERVICE_ACCOUNT_LABEL) return 0;
  return key.startsWith(NAMESPACE_LABELS) ? 2 : 1;
}
