import { CLUSTER_LABEL, formatIdentity, type IdentityNumber, parseIdentity } from "@isthmus/identity";
import { printable } from "@isthmus/model";
import { Identity, Kind, type Label, RefusalReason } from "@isthmus/proto";
import { BOUNDS, checkList, checkText } from "../bounds.js";
import { sorted } from "../canonical.js";
import type { PeerLimits } from "../types.js";
import { checkIdentity } from "./claims.js";
import { defineKind, type Finding } from "./record-kind.js";

/** Labels are sorted by key and value. */
export const IDENTITY_KIND = defineKind({
  kind: Kind.KIND_IDENTITY,
  segment: "identities",
  names: ["number"],
  exported: true,
  meaning: "The labels that an identity number stands for",
  parse: (names) => ({ kind: Kind.KIND_IDENTITY, identity: parseIdentity(names) }),
  message: Identity,
  canonical: ({ labels }: Identity) => ({ labels: sorted(labels, ({ key, value }) => `${key}\0${value}`) }),
  bounds: ({ labels }) =>
    checkList(
      "labels",
      labels,
      BOUNDS.labels,
      ({ key, value }) =>
        checkText("label key", key, BOUNDS.labelKey) ?? checkText("label value", value, BOUNDS.identityLabelValue),
    ),
  check: ({ identity }, { labels }, limits) => checkIdentity(identity, limits) ?? checkLabels(labels, limits),
});

/** Policies of this cluster select by these labels: a peer's identity must say that it is the peer's, and nothing that no pod is. */
function checkLabels(labels: readonly Label[], { cluster }: PeerLimits): Finding {
  const byKey = new Map(labels.map(({ key, value }) => [key, value]));
  if (byKey.size < labels.length)
    return [RefusalReason.REFUSAL_REASON_MALFORMED_VALUE, "two of its labels have the same key"];
  const reserved = labels.find(({ key }) => key.startsWith("reserved:"));
  if (reserved !== undefined)
    return [
      RefusalReason.REFUSAL_REASON_MALFORMED_VALUE,
      `it has the label "${printable(reserved.key)}" of a reserved identity`,
    ];
  const claimed = byKey.get(CLUSTER_LABEL);
  if (claimed === cluster) return undefined;
  const what =
    claimed === undefined ? "has no cluster among its labels" : `has the label of cluster "${printable(claimed)}"`;
  return [RefusalReason.REFUSAL_REASON_IDENTITY_OF_ANOTHER_CLUSTER, `it ${what}, not of "${cluster}"`];
}

/** Of an identity: `identities/` and its number in decimal. */
export const identityKey = (identity: IdentityNumber): string => `${IDENTITY_KIND.segment}/${formatIdentity(identity)}`;
