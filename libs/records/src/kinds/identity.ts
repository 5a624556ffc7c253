import { formatIdentity, type IdentityNumber, parseIdentity } from "@isthmus/identity";
import { Identity, Kind } from "@isthmus/proto";
import { BOUNDS, checkList, checkText } from "../bounds.js";
import { sorted } from "../canonical.js";
import { checkIdentity } from "./claims.js";
import { defineKind } from "./record-kind.js";

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
  check: ({ identity }, _, limits) => checkIdentity(identity, limits),
});

/** Of an identity: `identities/` and its number in decimal. */
export const identityKey = (identity: IdentityNumber): string => `${IDENTITY_KIND.segment}/${formatIdentity(identity)}`;
