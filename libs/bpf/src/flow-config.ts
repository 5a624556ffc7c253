/** What the programs must know of mesh_conntrack when they are loaded. */
import { randomBytes } from "node:crypto";
import type { DatapathConfig } from "./gen/index.js";
import { type Fd, native } from "./native.js";

export type FlowConfig = Pick<DatapathConfig, "flowSeed" | "flowSets">;

/** `conntrack` and `seed`: the maps. Draws the seed when there is none; the maps' next reader gets the same. */
export function readFlowConfig(conntrack: Fd, seed: Fd): FlowConfig {
  const key = new Uint8Array(4);
  const stored = native().mapLookup(seed, key);
  let flowSeed = stored === undefined ? 0n : new DataView(stored.buffer, stored.byteOffset).getBigUint64(0, true);
  if (flowSeed === 0n) {
    const drawn = randomBytes(8);
    drawn[0] = (drawn[0] ?? 0) | 1;
    native().mapUpdate(seed, key, drawn, 0);
    flowSeed = drawn.readBigUInt64LE();
  }
  return { flowSeed, flowSets: BigInt(native().mapInfo(conntrack).maxEntries) };
}
