import { type Address, formatAddress, parseAddress } from "@isthmus/model";
import { Endpoint, Kind, RefusalReason } from "@isthmus/proto";
import { BOUNDS, checkPorts, checkText } from "../bounds.js";
import { portText, sorted } from "../canonical.js";
import { sameBytes } from "../hash.js";
import type { PeerLimits } from "../types.js";
import { checkIdentity, checkPodAddress, formatBytes } from "./claims.js";
import { defineKind, type Finding } from "./record-kind.js";

/** Ports are sorted by name, protocol and number. */
export const ENDPOINT_KIND = defineKind({
  kind: Kind.KIND_ENDPOINT,
  segment: "endpoints",
  names: ["address"],
  exported: true,
  meaning: "An address of a pod with its identity",
  parse: parseNames,
  message: Endpoint,
  canonical: (endpoint: Endpoint) => ({ ...endpoint, ports: sorted(endpoint.ports, portText) }),
  bounds: (endpoint) =>
    checkText("node", endpoint.node, BOUNDS.objectName) ??
    checkText("namespace", endpoint.namespace, BOUNDS.label) ??
    checkText("pod", endpoint.pod, BOUNDS.objectName) ??
    checkText("pod uid", endpoint.podUid, BOUNDS.uid) ??
    checkPorts(endpoint.ports),
  check: ({ address }, endpoint, limits) => checkEndpoint(address, endpoint, limits),
  addresses: ({ address }) => [address],
});

function parseNames(text: string): { kind: Kind.KIND_ENDPOINT; address: Address } | undefined {
  const address = parseAddress(text);
  return formatAddress(address) === text ? { kind: Kind.KIND_ENDPOINT, address } : undefined;
}

function checkEndpoint(address: Uint8Array, endpoint: Endpoint, limits: PeerLimits): Finding {
  if (!sameBytes(endpoint.address, address)) {
    return [RefusalReason.REFUSAL_REASON_KEY_MISMATCH, `its value names address ${formatBytes(endpoint.address)}`];
  }
  return checkPodAddress(address, limits) ?? checkIdentity(endpoint.identity, limits);
}

/** Of a pod's address, 16 bytes; written as `10.0.0.1` or `fd00::1`. */
export const endpointKey = (address: Uint8Array): string => `${ENDPOINT_KIND.segment}/${formatAddress(address)}`;
