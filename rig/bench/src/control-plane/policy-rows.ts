/** Reads rows of a node's pinned maps: a policy is in effect when the word of its pod has changed, and a label when an identity has. */
import { createMappedArray, EndpointKey, EndpointRow, IpcacheKey, MAP_NAMES, native } from "@isthmus/bpf";
import { bytesKey, parseAddress } from "@isthmus/model";

export interface PolicyRows {
  /** Policy word of the pod of the node that has this address, as bytes to compare; undefined while it has no row. */
  policyOf(address: string): string | undefined;
  /** Row with the identity of an address, as bytes to compare; undefined while it has none. */
  identityOf(address: string): string | undefined;
  close(): void;
}

/** `pins`: the node's folder in bpffs. */
export function openPolicyRows(pins: string): PolicyRows {
  const open = (noun: "endpoints" | "endpointIndex" | "ipcache") => native().openPin(`${pins}/${MAP_NAMES[noun]}`);
  const [endpointsPin, index, ipcache] = [open("endpoints"), open("endpointIndex"), open("ipcache")];
  const endpoints = createMappedArray(MAP_NAMES.endpoints, endpointsPin);
  endpointsPin.close();
  return {
    policyOf(address) {
      const found = native().mapLookup(index, EndpointKey.encode({ addr: parseAddress(address) }));
      if (found === undefined) return undefined;
      const row = endpoints.read(new DataView(found.buffer, found.byteOffset).getUint32(0, true));
      const { policy } = EndpointRow.offsets;
      return bytesKey(row.subarray(policy, policy + 8));
    },
    identityOf(address) {
      const found = native().mapLookup(ipcache, IpcacheKey.encode({ addr: parseAddress(address), space: 0 }));
      return found && bytesKey(found);
    },
    close() {
      endpoints.close();
      index.close();
      ipcache.close();
    },
  };
}
