/** What an identity stands for, for people and for `-o json` (pure). */
import { CLUSTER_LABEL, isReservedKey, NAMESPACE_LABEL } from "@isthmus/identity";
import { lineText } from "@isthmus/model";
import type { EventIdentity } from "@isthmus/proto";
import { counted } from "../output/units.js";

const RESERVED = "reserved:";
const MAX_LABELS = 4;

/**
 * `namespace shop, app=cart, cluster west`, or `reserved:world, 203.0.113.0/24`. Service account and labels of the namespace are left
 * out, and the namespace, too, where it is known by the pod's name. "": none is known.
 */
export function labelsText(
  { labels, moreLabels, prefix }: EventIdentity,
  { isNamed = false }: { readonly isNamed?: boolean } = {},
): string {
  const value = (wanted: string) => labels.find(({ key }) => key === wanted)?.value;
  const [namespace, cluster] = [value(NAMESPACE_LABEL), value(CLUSTER_LABEL)];
  const reserved = labels.filter(({ key }) => key.startsWith(RESERVED)).map(({ key }) => key);
  const own = labels.filter(({ key }) => !isReservedKey(key));
  const hidden = Math.max(0, own.length - MAX_LABELS) + moreLabels;
  return [
    ...reserved,
    ...(reserved.includes("reserved:world") && prefix !== "" ? [prefix] : []),
    ...(namespace === undefined || isNamed ? [] : [`namespace ${namespace}`]),
    ...own.slice(0, MAX_LABELS).map(({ key, value }) => `${key}=${value}`),
    ...(hidden > 0 ? [counted(hidden, "more label")] : []),
    ...(cluster === undefined ? [] : [`cluster ${cluster}`]),
  ]
    .map(lineText)
    .join(", ");
}

/** Labels as Cilium's tools write them: `k8s:app=cart`, `reserved:world`. */
export function labelsJson({ labels, moreLabels, prefix }: EventIdentity): object {
  return {
    labels: labels.map(({ key, value }) => (key.startsWith(RESERVED) ? key : `k8s:${key}=${value}`)),
    ...(moreLabels > 0 ? { moreLabels } : {}),
    ...(prefix === "" ? {} : { prefix }),
  };
}
