/** Identities of the ends of events, for people and for `-o json` (pure). */
import { CLUSTER_LABEL, isReservedKey, NAMESPACE_LABEL } from "@isthmus/identity";
import { lineText } from "@isthmus/model";
import type { EventIdentity, FlowEnd } from "@isthmus/proto";
import { counted } from "../output/units.js";

/** Those of one batch, by number. */
export type EventIdentities = ReadonlyMap<number, EventIdentity>;

export const NO_IDENTITIES: EventIdentities = new Map();

/** By number. */
export function eventIdentities(identities: readonly EventIdentity[]): EventIdentities {
  return new Map(identities.map((identity) => [identity.number, identity]));
}

const RESERVED = "reserved:";
const MAX_LABELS = 4;

/**
 * The end's identity as `namespace shop, app=cart, cluster west`, or `reserved:world, 203.0.113.0/24`; without the namespace if the end has
 * a name. The number, if its labels are not known. Undefined: it has none. Service account and
 * labels of the namespace are left out.
 */
export function identityText({ identity: number, pod }: FlowEnd, identities: EventIdentities): string | undefined {
  if (number === 0) return undefined;
  const identity = identities.get(number);
  if (identity === undefined || identity.labels.length === 0) return `identity ${number}`;
  const { labels, moreLabels, prefix } = identity;
  const value = (wanted: string) => labels.find(({ key }) => key === wanted)?.value;
  const [namespace, cluster] = [value(NAMESPACE_LABEL), value(CLUSTER_LABEL)];
  const reserved = labels.filter(({ key }) => key.startsWith(RESERVED)).map(({ key }) => key);
  const own = labels.filter(({ key }) => !isReservedKey(key));
  const hidden = Math.max(0, own.length - MAX_LABELS) + moreLabels;
  return [
    ...reserved,
    ...(reserved.includes("reserved:world") && prefix !== "" ? [prefix] : []),
    ...(namespace === undefined || pod !== "" ? [] : [`namespace ${namespace}`]),
    ...own.slice(0, MAX_LABELS).map(({ key, value }) => `${key}=${value}`),
    ...(hidden > 0 ? [counted(hidden, "more label")] : []),
    ...(cluster === undefined ? [] : [`cluster ${cluster}`]),
  ]
    .map(lineText)
    .join(", ");
}

/** Labels as Cilium's tools write them: `k8s:app=cart`, `reserved:world`. */
export function identityJson(number: number, identities: EventIdentities): object {
  const identity = identities.get(number);
  if (identity === undefined) return { number };
  const { labels, moreLabels, prefix } = identity;
  return {
    number,
    labels: labels.map(({ key, value }) => (key.startsWith(RESERVED) ? key : `k8s:${key}=${value}`)),
    ...(moreLabels > 0 ? { moreLabels } : {}),
    ...(prefix === "" ? {} : { prefix }),
  };
}
