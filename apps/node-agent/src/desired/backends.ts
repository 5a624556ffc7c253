/**
 * mesh_backends: what a backend's row must say, without its node-local number.
 *
 * A backend is named by (cluster, address, port, protocol); everything else about it may change in place.
 */
import { BackendFlag } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
import { bytesKey } from "@isthmus/model";
import { type NodeName, nodeName } from "./nodes.js";

export interface DesiredBackend {
  readonly key: string;
  readonly cluster: number;
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: number;
  /** Undefined when its node is not known. */
  readonly node: NodeName | undefined;
  /** Bits of `BackendFlag`. */
  readonly flags: number;
}

/** The name of a backend. */
export function backendKey(cluster: number, address: Uint8Array, port: number, protocol: number): string {
  return bytesKey(address) + String.fromCharCode(port, protocol, cluster);
}

export function desiredBackend(backend: MergedBackend): DesiredBackend {
  const { clusterId, address, port, protocol } = backend;
  return {
    key: backendKey(clusterId, address, port, protocol),
    cluster: clusterId,
    address,
    port,
    protocol,
    node: backend.node === "" ? undefined : nodeName(clusterId, backend.node),
    flags: backend.ready ? 0 : BackendFlag.Terminating,
  };
}
