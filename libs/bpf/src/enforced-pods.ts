/** Which pods have a policy in the pinned maps of mode `packets`, read without opening the datapath. */
import { join } from "node:path";
import { type Address, addressFromBytes, keyBytes } from "@isthmus/model";
import { createMappedArray } from "./array-map.js";
import { openIfThere } from "./attach/pins.js";
import { EndpointKey, EndpointRow, MAP_NAMES, PodPolicyWord } from "./gen/index.js";
import { createHashMap } from "./hash-map.js";

/** Addresses of pods that have a policy set and are not in audit mode. None without the maps. Changes nothing. */
export async function readEnforcedPods(pinFolder: string): Promise<readonly Address[]> {
  const [index, rows] = [MAP_NAMES.endpointIndex, MAP_NAMES.endpoints].map((name) =>
    openIfThere(join(pinFolder, name)),
  );
  try {
    if (index === undefined || rows === undefined) return [];
    const entries = await createHashMap(MAP_NAMES.endpointIndex, index).load();
    const endpoints = createMappedArray(MAP_NAMES.endpoints, rows);
    try {
      return [...entries].flatMap(([key, value]) => {
        const row = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
        const { policy } = EndpointRow.decode(endpoints.read(row));
        const { set, audit } = PodPolicyWord.fromWord(policy);
        if (set === 0 || audit !== 0) return [];
        return [addressFromBytes(EndpointKey.decode(keyBytes(key)).addr)];
      });
    } finally {
      endpoints.close();
    }
  } finally {
    index?.close();
    rows?.close();
  }
}
