/** The pod CIDRs of this node from its last NodeConfig; a later subscriber gets them at once. */
import { addressFromBytes, formatPrefix, type Prefix } from "@isthmus/model";
import type { NodeConfig } from "@isthmus/proto";
import { createEmitter } from "@isthmus/runtime";
import type { NodeCidrSource } from "./pods/index.js";

export interface NodeCidrs extends NodeCidrSource {
  /** Takes the NodeConfig of this node; one without a valid CIDR, or with the same ones, changes nothing. */
  set(config: NodeConfig): void;
}

/** No CIDR is known before the first `set`. */
export function createNodeCidrs(): NodeCidrs {
  const changes = createEmitter<readonly Prefix[]>();
  let known: readonly Prefix[] = [];
  return {
    subscribe(listener, signal?: AbortSignal) {
      const unsubscribe = changes.subscribe(listener);
      signal?.addEventListener("abort", unsubscribe, { once: true });
      if (known.length > 0) listener(known);
    },
    set(config) {
      const next = config.podCidrs
        .filter(({ address }) => address.length === 16)
        .map(({ address, length }): Prefix => ({ address: addressFromBytes(address), length }));
      if (text(next) === text(known) || next.length === 0) return;
      known = next;
      changes.emit(known);
    },
  };
}

function text(prefixes: readonly Prefix[]): string {
  return prefixes.map(formatPrefix).join(",");
}
