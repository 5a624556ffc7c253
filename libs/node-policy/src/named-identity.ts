/** What the number of an identity stands for, as messages carry it. */
import { formatPrefix } from "@isthmus/model";
import {
  CLUSTER_LABEL,
  type Identity,
  type Labels,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS,
  SERVICE_ACCOUNT_LABEL,
} from "@isthmus/policy";
import type { EventIdentity } from "@isthmus/proto";
import { BOUNDS } from "@isthmus/records";

/** Of an `EventIdentity`. */
export interface NamedIdentity extends Readonly<Omit<EventIdentity, "number">> {
  /** Of keys and values of `labels`. */
  readonly labelBytes: number;
}

const MAX_LABELS = 64;
const MAX_LABEL_BYTES = 16 << 10;

/** The labels that fit into a message; a pod's own come before those of its namespace. */
export function nameIdentity({ labels, prefix }: Pick<Identity, "labels" | "prefix">): NamedIdentity {
  return { ...boundedLabels(labels), prefix: prefix === undefined ? "" : formatPrefix(prefix) };
}

/** Labels of other clusters need not be ASCII, and a server counts bytes. */
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
