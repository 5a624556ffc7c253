/**
 * Says on the local Service when another cluster cannot be used for one of its ports.
 *
 * Ports are matched by name and protocol. In: changes of any source. Out: one Event per Service and cluster whose ports do
 * not match, when that becomes so. Looks a second after a change, at what changed only.
 */
import { type EventRecorder, SERVICES } from "@isthmus/kube";
import { type Clock, protocolName, type ServiceName } from "@isthmus/model";
import { Kind, type Port, Service, ServiceConfig } from "@isthmus/proto";
import { parseKey, type SourceIndex, serviceConfigKey, serviceKey } from "@isthmus/records";
import type { StreamSource, StreamSources } from "../serve/stream-source.js";

export interface PortMismatchModules {
  readonly sources: StreamSources;
  readonly events: EventRecorder;
  readonly clock: Clock;
}

const LOOK_MS = 1000;

export function createPortMismatch(modules: PortMismatchModules): { run(signal: AbortSignal): Promise<void> } {
  const { sources, events, clock } = modules;
  const dirty = new Set<ServiceName>();
  /** What was said last, by service and cluster. */
  const said = new Map<string, string>();
  const stops = new Map<StreamSource, () => void>();

  function mark(keys: Iterable<{ readonly key: string }>): void {
    for (const { key } of keys) {
      const parsed = parseKey(key);
      if (parsed?.kind === Kind.KIND_SERVICE || parsed?.kind === Kind.KIND_SERVICE_CONFIG) dirty.add(parsed.service);
    }
  }

  function follow(source: StreamSource): void {
    mark(source.index.records(Kind.KIND_SERVICE));
    stops.set(
      source,
      source.index.onChange(({ upserts, deletes }) => {
        mark(upserts);
        mark(deletes);
      }),
    );
  }

  function look(service: ServiceName): void {
    const [own, ...remotes] = sources.all;
    const local = own === undefined ? undefined : globalService(own.index, service);
    for (const { cluster, index } of remotes) {
      const id = `${cluster}/${service}`;
      const remote = index.get(serviceKey(service));
      const note = local && remote && mismatch(cluster, local, Service.decode(remote.value));
      if (note === undefined) said.delete(id);
      else if (said.get(id) !== note) {
        said.set(id, note);
        report(service, local?.uid ?? "", note);
      }
    }
  }

  function report(service: ServiceName, uid: string, note: string): void {
    const [namespace = "", name = ""] = service.split("/");
    const about = { resource: SERVICES, namespace, name, uid };
    events.report({ ...about, type: "Warning", reason: "PortMismatch", action: "Merge", note });
  }

  return {
    async run(signal) {
      for (const source of sources.all) follow(source);
      const stopSources = sources.onChange(({ added, removed }) => {
        if (added !== undefined) follow(added);
        if (removed === undefined) return;
        stops.get(removed)?.();
        stops.delete(removed);
      });
      while (!signal.aborted) {
        for (const service of dirty) look(service);
        dirty.clear();
        await clock.delay(LOOK_MS, signal).catch(() => undefined);
      }
      stopSources();
      for (const stop of stops.values()) stop();
    },
  };
}

/** The own Service when it takes part in the mesh. */
function globalService(index: SourceIndex, service: ServiceName): Service | undefined {
  const record = index.get(serviceKey(service));
  const config = index.get(serviceConfigKey(service));
  if (record === undefined || config === undefined || !ServiceConfig.decode(config.value).global) return undefined;
  return Service.decode(record.value);
}

/** A sentence when a port of the local Service has no counterpart there; undefined when all have. */
export function mismatch(cluster: string, local: Pick<Service, "ports">, remote: Service): string | undefined {
  if (!remote.shared) return undefined;
  const missing = local.ports.filter((port) => !remote.ports.some((other) => samePort(port, other)));
  if (missing.length === 0) return undefined;
  const ports = missing.map(({ name, protocol }) => `"${name}"/${protocolName(protocol)}`).join(", ");
  return `Cannot use cluster "${cluster}" for port ${ports}: its Service has no port of that name and protocol. Give the ports the same names in both clusters`;
}

function samePort(a: Port, b: Port): boolean {
  return a.name === b.name && a.protocol === b.protocol;
}
