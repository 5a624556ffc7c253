/** A truth table: steps that change policies or labels, each with who reaches whom after it. */
import type { ClusterName } from "./pods.js";

/** Addresses are known when the pods run. */
export type AddressOf = (pod: string) => string;

export type PolicySpec = object | ((addressOf: AddressOf) => object);

/** A policy, or what one refers to. */
export interface PolicyObject {
  readonly kind:
    | "NetworkPolicy"
    | "CiliumNetworkPolicy"
    | "CiliumClusterwideNetworkPolicy"
    | "CiliumCIDRGroup"
    | "Service";
  readonly name: string;
  /** `shop` by default; kinds without a namespace have none. */
  readonly namespace?: string;
  readonly spec?: PolicySpec;
  /** Of Cilium's kinds: several in the place of `spec`. */
  readonly specs?: readonly object[];
}

export type Change =
  | { readonly apply: PolicyObject; readonly in?: ClusterName }
  | { readonly remove: PolicyObject["kind"]; readonly name: string; readonly in?: ClusterName }
  /** null: the label goes. */
  | { readonly pod: string; readonly labels: Readonly<Record<string, string | null>> }
  /** Of cluster `solo`. */
  | { readonly namespace: string; readonly labels: Readonly<Record<string, string | null>> };

export interface Step {
  readonly text: string;
  readonly changes: readonly Change[];
  /** As grid.ts has it. */
  readonly reach: string;
  /** The object is refused, with this field in the first finding, and what was in force stays. */
  readonly refused?: string;
}

export interface TruthTable {
  readonly name: string;
  readonly steps: readonly Step[];
}
