/** The named ports of the pods of each identity, of all together. */
import type { IdentityNumber } from "@isthmus/identity";
import type { NamedPort } from "@isthmus/policy";

export interface IdentityPorts {
  /** `change`: 1 for a pod that has these ports, -1 for one that had them. True when the ports of the identity are others now. */
  count(identity: IdentityNumber, ports: readonly NamedPort[], change: 1 | -1): boolean;
  /** Each once. */
  of(identity: IdentityNumber): readonly NamedPort[];
}

interface Counted {
  readonly port: NamedPort;
  pods: number;
}

/** Knows no pod. */
export function createIdentityPorts(): IdentityPorts {
  const byIdentity = new Map<IdentityNumber, Map<string, Counted>>();
  return {
    count(identity, ports, change) {
      if (ports.length === 0) return false;
      const counts = byIdentity.get(identity) ?? new Map<string, Counted>();
      byIdentity.set(identity, counts);
      let isOther = false;
      for (const port of ports) {
        const text = `${port.name}/${port.protocol}=${port.port}`;
        const counted = counts.get(text) ?? { port, pods: 0 };
        counted.pods += change;
        isOther ||= counted.pods === 0 || (change === 1 && counted.pods === 1);
        if (counted.pods === 0) counts.delete(text);
        else counts.set(text, counted);
      }
      if (counts.size === 0) byIdentity.delete(identity);
      return isOther;
    },
    of: (identity) => [...(byIdentity.get(identity)?.values() ?? [])].map(({ port }) => port),
  };
}
