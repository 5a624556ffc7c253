/** Identities of the ends of events, for people and for `-o json` (pure). */
import type { EventIdentity, FlowEnd } from "@isthmus/proto";
import { labelsJson, labelsText } from "../identity/identity-text.js";

/** Those of one batch, by number. */
export type EventIdentities = ReadonlyMap<number, EventIdentity>;

export const NO_IDENTITIES: EventIdentities = new Map();

/** By number. */
export function eventIdentities(identities: readonly EventIdentity[]): EventIdentities {
  return new Map(identities.map((identity) => [identity.number, identity]));
}

/** Labels of the end's identity, as `labelsText` has them; the number, if they are not known. Undefined: it has none. */
export function identityText({ identity: number, pod }: FlowEnd, identities: EventIdentities): string | undefined {
  if (number === 0) return undefined;
  const identity = identities.get(number);
  if (identity === undefined || identity.labels.length === 0) return `identity ${number}`;
  return labelsText(identity, { isNamed: pod !== "" });
}

/** Its number, and what is known of it. */
export function identityJson(number: number, identities: EventIdentities): object {
  const identity = identities.get(number);
  return identity === undefined ? { number } : { number, ...labelsJson(identity) };
}
