/** The cluster's Service CIDRs: from its ServiceCIDR objects, where mesh-config does not say. */
import { createListWatch, type KubeServiceCidr, type ListWatch, SERVICE_CIDRS, type Transport } from "@isthmus/kube";
import { type Clock, formatPrefix, type Prefix, parsePrefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";

export function createServiceCidrWatch(modules: {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: (cidrs: readonly Prefix[]) => void;
}): ListWatch<readonly Prefix[]> {
  const watch = createListWatch<readonly Prefix[]>(
    {
      resource: SERVICE_CIDRS,
      project: (object) => ((object as KubeServiceCidr).spec?.cidrs ?? []).map(parsePrefix),
    },
    { ...modules, onChange: () => modules.onChange(sorted([...watch.items.values()].flatMap(({ value }) => value))) },
  );
  return watch;
}

function sorted(prefixes: readonly Prefix[]): readonly Prefix[] {
  const byText = new Map(prefixes.map((prefix) => [formatPrefix(prefix), prefix]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, prefix]) => prefix);
}
