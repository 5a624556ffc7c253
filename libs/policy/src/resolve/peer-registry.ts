/**
 * Which identities each peer of any policy matches, kept up to date.
 *
 * Changes are noted and take effect in `settle`, all at once: a new peer is compared with the identities, a new identity with the
 * peers, and what did not change with nothing.
 */
import type { IdentityNumber, Labels } from "@isthmus/identity";
import { formatPrefix, type Prefix } from "@isthmus/model";
import { type NamedPort, type Peer, peerText } from "../model/policy.js";
import { createPeerIndex } from "../select/peer-index.js";
import { createPortNames, type PortNames } from "./named-ports.js";

/** What a number stands for. */
export interface Identity {
  /** Those that `podIdentityLabels` makes, or `reserved:NAME`. */
  readonly labels: Labels;
  /** The longest prefix of `prefixes()` that contains all of its addresses, where it is known by address; see `AddressBlock`. */
  readonly prefix?: Prefix;
  /** Named ports of its pods, of all together: a rule that names a port of its peers means the ports of that name here. */
  readonly ports?: readonly NamedPort[];
}

/** A peer of one or more rules, or a selector of subjects. */
export interface Matcher {
  /** What its members match. */
  readonly peer: Peer;
  /** Identities that it matches, as of the last `settle`. */
  readonly members: ReadonlySet<IdentityNumber>;
}

/** An identity as of the last `settle`. */
export interface KnownIdentity {
  /** What it was set to. */
  readonly identity: Identity;
  /** None for what is no pod. */
  readonly ports: PortNames;
  /** Of all policies, in no order. */
  readonly matches: readonly Matcher[];
}

export interface IdentityChange {
  /** Undefined: it is new. */
  readonly before: KnownIdentity | undefined;
  /** Undefined: it is gone. */
  readonly now: KnownIdentity | undefined;
}

export interface PeerRegistry {
  /** Nothing happens when it is known as just this. */
  setIdentity(number: IdentityNumber, identity: Identity): void;
  /** Nothing happens for an unknown one. */
  deleteIdentity(number: IdentityNumber): void;
  /** As of the last `settle`. */
  identity(number: IdentityNumber): KnownIdentity | undefined;
  /** The one matcher of this peer; one `release` for each `acquire`. */
  acquire(peer: Peer): Matcher;
  /** The last one forgets the peer at once. */
  release(matcher: Matcher): void;
  /** Takes in what changed since the last time; returns the identities that were set or deleted. */
  settle(): ReadonlyMap<IdentityNumber, IdentityChange>;
}

interface Registered extends Matcher {
  readonly members: Set<IdentityNumber>;
  uses: number;
}

interface Settled extends KnownIdentity {
  readonly matches: Registered[];
}

/** Without identities and peers. */
export function createPeerRegistry(): PeerRegistry {
  const index = createPeerIndex<Registered>();
  const matchers = new Map<string, Registered>();
  const unmatched = new Set<Registered>();
  const settled = new Map<IdentityNumber, Settled>();
  const pending = new Map<IdentityNumber, Identity | undefined>();

  function settleIdentity(number: IdentityNumber, identity: Identity | undefined): IdentityChange {
    const before = settled.get(number);
    if (before !== undefined) for (const { members } of before.matches) members.delete(number);
    if (identity === undefined) {
      settled.delete(number);
      return { before, now: undefined };
    }
    const now = { identity, ports: createPortNames(identity.ports), matches: index.matching(identity) };
    for (const { members } of now.matches) members.add(number);
    settled.set(number, now);
    return { before, now };
  }

  /** Compares peers that are new with identities that are not. */
  function matchNewPeers(changed: ReadonlyMap<IdentityNumber, IdentityChange>): void {
    const changedOnes = [...changed.values()].filter(({ now }) => now !== undefined).length;
    if (unmatched.size > 0 && changedOnes < settled.size) {
      const fresh = createPeerIndex<Registered>();
      for (const matcher of unmatched) fresh.add(matcher.peer, matcher);
      for (const [number, { identity, matches }] of settled) {
        if (changed.has(number)) continue;
        for (const matcher of fresh.matching(identity)) {
          matches.push(matcher);
          matcher.members.add(number);
        }
      }
    }
    unmatched.clear();
  }

  return {
    setIdentity(number, identity) {
      const known = pending.has(number) ? pending.get(number) : settled.get(number)?.identity;
      if (known === undefined || !sameIdentity(known, identity)) pending.set(number, identity);
    },
    deleteIdentity(number) {
      if (settled.has(number)) pending.set(number, undefined);
      else pending.delete(number);
    },
    identity: (number) => settled.get(number),
    acquire(peer) {
      const text = peerText(peer);
      const known = matchers.get(text);
      const matcher = known ?? { peer, members: new Set(), uses: 0 };
      matcher.uses++;
      if (known !== undefined) return known;
      matchers.set(text, matcher);
      index.add(peer, matcher);
      unmatched.add(matcher);
      return matcher;
    },
    release({ peer }) {
      const text = peerText(peer);
      const matcher = matchers.get(text);
      if (matcher === undefined || --matcher.uses > 0) return;
      matchers.delete(text);
      index.delete(peer);
      unmatched.delete(matcher);
      for (const number of matcher.members) {
        const matches = settled.get(number)?.matches;
        matches?.splice(matches.indexOf(matcher), 1);
      }
    },
    settle() {
      const changes = new Map<IdentityNumber, IdentityChange>();
      for (const [number, identity] of pending) changes.set(number, settleIdentity(number, identity));
      pending.clear();
      matchNewPeers(changes);
      return changes;
    },
  };
}

function sameIdentity(a: Identity, b: Identity): boolean {
  if (a === b) return true;
  if (a.labels.size !== b.labels.size || prefixText(a) !== prefixText(b)) return false;
  for (const [key, value] of a.labels) if (b.labels.get(key) !== value) return false;
  return createPortNames(a.ports).text === createPortNames(b.ports).text;
}

function prefixText({ prefix }: Identity): string {
  return prefix === undefined ? "" : formatPrefix(prefix);
}
