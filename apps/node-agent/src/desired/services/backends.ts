/**
 * The content of a backend's row in mesh_backends, without node-local indexes.
 *
 * A backend is identified by (cluster, address, port, protocol); everything else in its row may change in place.
 */
import { BackendFlag } from "@isthmus/bpf";
import type { MergedBackend } from "@isthmus/clustermesh";
import { type NodeName, nodeName } from "../nodes/nodes.js";

/** Bits of `BackendFlag`. */
export function backendFlags(backend: MergedBackend): number {
  return backend.ready ? 0 : BackendFlag.Terminating;
}

/** Undefined when its node is not known. */
export function backendNode(cluster: number, node: string): NodeName | undefined {
  return node === "" ? undefined : nodeName(cluster, node);
}
