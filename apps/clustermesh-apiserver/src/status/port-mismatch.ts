/**
 * Finds the clusters that cannot be used for a port of the local Service (pure).
 *
 * Ports are matched by name and protocol; numbers may differ. A remote Service that is not shared is no mismatch.
 */
import { printable, protocolName, type ServiceName } from "@isthmus/model";
import { type Port, Service, ServiceConfig } from "@isthmus/proto";
import { type SourceIndex, serviceConfigKey, serviceKey } from "@isthmus/records";
import type { StreamSources } from "../ports/stream-source.js";

/** Ports that a sentence names: a peer may have any number of them, and the sentence must fit in an Event. */
const NAMED = 5;
/** Maximum length of a Service port's name in Kubernetes. */
const NAME_LENGTH = 63;

export interface PortMismatch {
  /** Name of the remote cluster. */
  readonly cluster: string;
  /** Names the cluster as `cluster "west"`, the ports, and what to do. No full stop. */
  readonly sentence: string;
}

/** Undefined when the local Service is not global: there is nothing to match. */
export function portMismatches(sources: StreamSources, service: ServiceName): readonly PortMismatch[] | undefined {
  const [own, ...remotes] = sources.all;
  const local = own === undefined ? undefined : globalService(own.index, service);
  if (local === undefined) return undefined;
  return remotes.flatMap(({ cluster, index }) => {
    const remote = index.get(serviceKey(service));
    const sentence = remote && mismatch(cluster, local, Service.decode(remote.value));
    return sentence === undefined ? [] : [{ cluster, sentence }];
  });
}

/** A sentence when a port of the local Service has no counterpart in the remote one; undefined when all have. */
export function mismatch(cluster: string, local: Pick<Service, "ports">, remote: Service): string | undefined {
  if (!remote.shared) return undefined;
  const missing = local.ports.filter((port) => !remote.ports.some((other) => samePort(port, other)));
  if (missing.length === 0) return undefined;
  const [wanted, there] = [missing, remote.ports].map(portsText);
  return `Cannot use cluster "${cluster}" for port ${wanted}: its Service has ${there}. Give the ports the same names and protocols in both clusters`;
}

/** The local Service when it is global. */
function globalService(index: SourceIndex, service: ServiceName): Service | undefined {
  const record = index.get(serviceKey(service));
  const config = index.get(serviceConfigKey(service));
  if (record === undefined || config === undefined || !ServiceConfig.decode(config.value).global) return undefined;
  return Service.decode(record.value);
}

function portsText(ports: readonly Port[]): string {
  const named = ports.slice(0, NAMED).map(portText).join(", ");
  return ports.length > NAMED ? `${named} and ${ports.length - NAMED} more` : named;
}

function portText({ name, protocol }: Port): string {
  return `${name === "" ? "(no name)" : `"${printable(name, NAME_LENGTH)}"`}/${protocolName(protocol)}`;
}

function samePort(a: Port, b: Port): boolean {
  return a.name === b.name && a.protocol === b.protocol;
}
