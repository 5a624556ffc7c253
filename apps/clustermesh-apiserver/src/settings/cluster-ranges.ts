/**
 * The ranges of this cluster as one watched value. Exports, nodes, the check of peers' claims, the published config and the
 * MeshCluster object all follow it.
 *
 * Pod ranges come from mesh-config; Service ranges from mesh-config if it has any, else from the ServiceCIDR objects.
 */
import { createListWatch, type KubeServiceCidr, SERVICE_CIDRS, type Transport } from "@isthmus/kube";
import { type Clock, formatPrefix, type Prefix, parsePrefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { createEmitter, waitFor } from "@isthmus/runtime";
import type { ConfigSource } from "./config-source.js";
import { takenByServices } from "./saved-config.js";

export interface ClusterRanges {
  /** In the order of mesh-config. */
  readonly podCidrs: readonly Prefix[];
  /** In the order of mesh-config, or sorted as text when they come from ServiceCIDR objects. */
  readonly serviceCidrs: readonly Prefix[];
}

export interface RangesSource {
  /** Each field is absent until it is known. */
  readonly current: Partial<ClusterRanges>;
  /** Calls the listener at once with the ranges known so far, and again at each change. */
  follow(listener: (ranges: Partial<ClusterRanges>) => void): void;
  /** Resolves once both are known. Rejects when aborted. */
  whenComplete(signal: AbortSignal): Promise<ClusterRanges>;
  /** Follows the ServiceCIDR objects; resolves when aborted. Rejects only for an internal error. */
  run(signal: AbortSignal): Promise<void>;
}

/** Follows `settings` from now on, and passes the ranges of Services on to it. */
export function createRangesSource(modules: {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: ConfigSource;
}): RangesSource {
  const { settings, log } = modules;
  const changes = createEmitter<Partial<ClusterRanges>>();
  let current: Partial<ClusterRanges> = {};
  const watch = createListWatch<readonly Prefix[]>(
    {
      resource: SERVICE_CIDRS,
      project: (object) => ((object as KubeServiceCidr).spec?.cidrs ?? []).map(parsePrefix),
    },
    { ...modules, onChange: serviceCidrsChanged },
  );

  function serviceCidrsChanged(): void {
    if (watch.inSync)
      settings.setTaken("services", takenByServices([...watch.items.values()].flatMap(({ value }) => value)));
    update();
  }

  function update(): void {
    const objects = watch.inSync ? sorted([...watch.items.values()].flatMap(({ value }) => value)) : undefined;
    const podCidrs = settings.current?.podCidrs ?? current.podCidrs;
    const serviceCidrs = settings.current?.serviceCidrs ?? objects ?? current.serviceCidrs;
    const now = { ...(podCidrs && { podCidrs }), ...(serviceCidrs && { serviceCidrs }) };
    if (texts(now) === texts(current)) return;
    if (isComplete(current))
      log.info("Cluster ranges changed", { podCidrs: list(podCidrs), serviceCidrs: list(serviceCidrs) });
    current = now;
    changes.emit(now);
  }
  settings.onChange(update);
  update();

  return {
    get current() {
      return current;
    },
    follow(listener) {
      changes.subscribe(listener);
      listener(current);
    },
    whenComplete: (signal) =>
      waitFor("the cluster's ranges", () => isComplete(current) && current, { changes: changes.subscribe, signal }),
    run: (signal) => watch.run(signal),
  };
}

/** True when both are known, even if one is empty. */
export function isComplete(ranges: Partial<ClusterRanges>): ranges is ClusterRanges {
  return ranges.podCidrs !== undefined && ranges.serviceCidrs !== undefined;
}

function texts({ podCidrs, serviceCidrs }: Partial<ClusterRanges>): string {
  return JSON.stringify([list(podCidrs), list(serviceCidrs)]);
}

function list(prefixes: readonly Prefix[] | undefined): readonly string[] | undefined {
  return prefixes?.map(formatPrefix);
}

function sorted(prefixes: readonly Prefix[]): readonly Prefix[] {
  const byText = new Map(prefixes.map((prefix) => [formatPrefix(prefix), prefix]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, prefix]) => prefix);
}
