/** What a set says of an identity, in the words of mesh_policy_peers and mesh_policy_sets. */
import { PeerVerdict, PolicyPeerKey, PolicyPeerRow, PolicySetRow } from "@isthmus/bpf";
import { bytesKey } from "@isthmus/model";
import type { PeerRow, PolicyClass, PeerVerdict as Verdict } from "@isthmus/policy";

export interface RowWords {
  /** `struct peer_verdict` of what the identity sends to the pod. */
  readonly in: number;
  /** `struct peer_verdict` of what the pod sends to the identity. */
  readonly out: number;
}

/** Makes one object of equal words: sets have thousands of rows, and few that differ. */
export function createRowWords(): (ingress: number, egress: number) => RowWords {
  const known = new Map<number, Map<number, RowWords>>();
  return (ingress, egress) => {
    const byOut = known.get(ingress) ?? new Map<number, RowWords>();
    known.set(ingress, byOut);
    const words = byOut.get(egress) ?? { in: ingress, out: egress };
    byOut.set(egress, words);
    return words;
  };
}

/** True when both say the same by the same rules. */
export function sameWords(a: RowWords, b: RowWords): boolean {
  return a.in === b.in && a.out === b.out;
}

/** The classes that a row names. */
export function classesOf(row: PeerRow): readonly PolicyClass[] {
  return [row.in, row.out].flatMap((verdict) => (verdict.ports === "class" ? [verdict.class] : []));
}

/** The words of a row; undefined when a class has no number. */
export function wordsOf(row: PeerRow, numberOf: (key: string) => number | undefined): RowWords | undefined {
  const [ingress, egress] = [verdictWord(row.in, numberOf), verdictWord(row.out, numberOf)];
  return ingress === undefined || egress === undefined ? undefined : { in: ingress, out: egress };
}

function verdictWord(verdict: Verdict, numberOf: (key: string) => number | undefined): number | undefined {
  if (verdict.ports === "all") {
    const { allow, rule } = verdict.outcome;
    return PeerVerdict.toWord({ number: rule, allow: Number(allow), allPorts: 1 });
  }
  const number = numberOf(verdict.class.key);
  return number === undefined ? undefined : PeerVerdict.toWord({ number, allow: 0, allPorts: 0 });
}

/** Numbers of the classes in the words. */
export function classNumbers(words: RowWords): readonly number[] {
  return [words.in, words.out].map(PeerVerdict.fromWord).flatMap(({ allPorts, number }) => (allPorts ? [] : [number]));
}

/** False only if the second row allows all that the first one does. */
export function mayAllowLess(before: RowWords, now: RowWords): boolean {
  return mayLose(before.in, now.in) || mayLose(before.out, now.out);
}

function mayLose(before: number, now: number): boolean {
  if (before === now) return false;
  const [old, other] = [PeerVerdict.fromWord(before), PeerVerdict.fromWord(now)];
  const deniesAll = old.allPorts === 1 && old.allow === 0;
  return !deniesAll && !(other.allPorts === 1 && other.allow === 1);
}

/** Key of mesh_policy_peers, latin1. */
export function peerKey(set: number, identity: number): string {
  return bytesKey(PolicyPeerKey.encode({ set, identity }));
}

/** Row of mesh_policy_peers. */
export function peerRow(set: number, identity: number, words: RowWords): Uint8Array {
  return PolicyPeerRow.encode({ set, identity, in: words.in, out: words.out });
}

/** Row of mesh_policy_sets. */
export function setRow(words: RowWords): Uint8Array {
  return PolicySetRow.encode({ in: words.in, out: words.out });
}
