/**
 * Numbers of rules, as verdicts in maps and events carry them.
 *
 * A number is a hash of the rule's name, so every node and every later process has the same one without agreeing on it. Two rules
 * may share a number: verdicts do not depend on it, and who explains one names both.
 */
import type { Direction } from "../model/policy.js";

/** Where a rule is written. */
export interface RuleName {
  /** As `policyKey` writes it: `NetworkPolicy shop/web`. */
  readonly policy: string;
  /** As the subject sees it. */
  readonly direction: Direction;
  /** `spec.ingress[0]` */
  readonly path: string;
}

/** Bits of a rule number in a verdict word of the maps. */
export const RULE_BITS = 30;

/** The number where no rule decides: nothing isolates the pod, or no rule allows the flow. */
export const NO_RULE = 0;

/** 1 to 2^30 - 1; the same for the same name. */
export function ruleNumber({ policy, path }: RuleName): number {
  const number = mixText(`${policy} ${path}`) >>> (32 - RULE_BITS);
  return number === NO_RULE ? 1 : number;
}

/** 32 bits of a text, from another start where a second hash is needed. */
export function mixText(text: string, start = 0x811c9dc5): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixBits(hash);
}

/** Spreads each bit over all of them. */
export function mixBits(bits: number): number {
  let hash = bits ^ (bits >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
