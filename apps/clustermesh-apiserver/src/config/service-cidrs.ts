/** The cluster's Service CIDRs: those of mesh-config, else those of its ServiceCIDR objects. */
import { createListWatch, type KubeServiceCidr, SERVICE_CIDRS, type Transport } from "@isthmus/kube";
import { type Clock, formatPrefix, type Prefix, parsePrefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { ConfigSource } from "./config-source.js";

export interface ServiceCidrs {
  /** Undefined until known. */
  readonly current: readonly Prefix[] | undefined;
  onChange(listener: (cidrs: readonly Prefix[]) => void): void;
  run(signal: AbortSignal): Promise<void>;
}

export function createServiceCidrs(modules: {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: ConfigSource;
}): ServiceCidrs {
  const { settings } = modules;
  const listeners = new Set<(cidrs: readonly Prefix[]) => void>();
  let current: readonly Prefix[] | undefined;
  const watch = createListWatch<readonly Prefix[]>(
    {
      resource: SERVICE_CIDRS,
      project: (object) => ((object as KubeServiceCidr).spec?.cidrs ?? []).map(parsePrefix),
    },
    { ...modules, onChange: look },
  );

  function look(): void {
    const found = watch.inSync ? sorted([...watch.items.values()].flatMap(({ value }) => value)) : undefined;
    const now = settings.current?.serviceCidrs ?? found;
    if (now === undefined || (current !== undefined && texts(now) === texts(current))) return;
    current = now;
    for (const listener of listeners) listener(now);
  }
  settings.onChange(look);

  return {
    get current() {
      return current;
    },
    onChange(listener) {
      listeners.add(listener);
    },
    run(signal) {
      look();
      return watch.run(signal);
    },
  };
}

function texts(prefixes: readonly Prefix[]): string {
  return prefixes.map(formatPrefix).join();
}

function sorted(prefixes: readonly Prefix[]): readonly Prefix[] {
  const byText = new Map(prefixes.map((prefix) => [formatPrefix(prefix), prefix]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, prefix]) => prefix);
}
