/** What agents say of policies and identities, as it may be shown: each changes its argument. */
import { printable } from "@isthmus/model";
import type { EventIdentity, PolicyName, PolicyRule } from "@isthmus/proto";
import { BOUNDS } from "@isthmus/records";

/** Makes prefix and labels printable. */
export function cleanIdentity(identity: EventIdentity): void {
  identity.prefix = printable(identity.prefix, 64);
  for (const label of identity.labels) {
    label.key = printable(label.key, BOUNDS.labelKey);
    label.value = printable(label.value, BOUNDS.identityLabelValue);
  }
}

/** Makes kind, namespace and name printable; nothing happens without a name. */
export function cleanPolicyName(name: PolicyName | undefined): void {
  if (name === undefined) return;
  name.kind = printable(name.kind, 64);
  name.namespace = printable(name.namespace, 253);
  name.name = printable(name.name, 253);
}

/** Makes its path and the name of its policy printable. */
export function cleanRule(rule: PolicyRule): void {
  rule.path = printable(rule.path, 256);
  cleanPolicyName(rule.policy);
}
