/** The maps with the policies of pods and the identities of addresses, as the agent writes them. */
import { createMappedArray } from "./array-map.js";
import type { PolicyPort } from "./datapath-port.js";
import { MAP_NAMES } from "./gen/index.js";
import { createHashMap } from "./hash-map.js";
import type { Fd } from "./native.js";

export interface OpenPolicyPort extends PolicyPort {
  /** Unmaps the array; the maps stay. */
  close(): void;
}

/** `map`: the open map of a name, which must stay open. */
export function openPolicyPort(map: (name: string) => Fd): OpenPolicyPort {
  const sets = createMappedArray(MAP_NAMES.policySets, map(MAP_NAMES.policySets));
  const hash = (name: string) => createHashMap(name, map(name));
  return {
    sets,
    peers: hash(MAP_NAMES.policyPeers),
    ports: hash(MAP_NAMES.policyPorts),
    addresses: hash(MAP_NAMES.ipcache),
    prefixes: hash(MAP_NAMES.ipcachePrefixes),
    close: () => sets.close(),
  };
}
