/**
 * mesh_backends: what a backend's row must say, without its node-local number.
 *
 * A backend is named by (cluster, address, port, protocol); everything else about it may change in place.
 */
import { BackendFlag } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
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

/** The name of a backend: one string of 11 characters. `at`: where the address begins in `bytes`. */
export function backendKey(cluster: number, bytes: Uint8Array, port: number, protocol: number, at = 0): string {
  const pair = (i: number) => ((bytes[at + i] ?? 0) << 8) | (bytes[at + i + 1] ?? 0);
  const [a, b, c, d] = [pair(0), pair(2), pair(4), pair(6)];
  const [e, f, g, h] = [pair(8), pair(10), pair(12), pair(14)];
  return String.fromCharCode(a, b, c, d, e, f, g, h, port, protocol, cluster);
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
