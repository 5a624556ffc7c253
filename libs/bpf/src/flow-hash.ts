/** Hashes of flows, by which programs find and check their rows (bpf/lib/conntrack.h). */
import { type Hash64, hash64, mixHash, multiply, ROW_CHECK, rowCheck } from "./check.js";
import { FlowKey } from "./gen/index.js";

/** Words of a key with the addresses; ports and protocol are in one more. */
const ADDRESS_WORDS = 4;

/** Returns the hash that place_of() sets, of the key at `at`: one object, which the next call changes. */
export function createFlowHash(seed: bigint): (row: DataView, at: number) => Hash64 {
  const [begin, hash] = [hash64(ROW_CHECK ^ seed), { low: 0, high: 0 }];
  return (row, at) => {
    Object.assign(hash, begin);
    rowCheck(hash, row, at, ADDRESS_WORDS);
    rowCheck(hash, row, at + ADDRESS_WORDS * 8, 1);
    mixHash(hash);
    return hash;
  };
}

/** Returns place_of(): the set of the flow whose key is at `at`. `sets`: of the table, a power of two. */
export function createFlowPlace(seed: bigint, sets: number): (row: DataView, at: number) => number {
  const [begin, hash] = [hash64(ROW_CHECK ^ seed), { low: 0, high: 0 }];
  const { pa, pb } = FlowKey.offsets;
  return (row, at) => {
    Object.assign(hash, begin);
    rowCheck(hash, row, at, ADDRESS_WORDS);
    mixHash(hash);
    return (hash.high + row.getUint16(at + pa) + row.getUint16(at + pb)) & (sets - 1);
  };
}

/** Returns flow_check() of the key at `at`. */
export function createFlowCheck(seed: bigint): (row: DataView, at: number, generation: number) => number {
  const [hashFlow, factor] = [createFlowHash(seed), hash64(ROW_CHECK)];
  return (row, at, generation) => {
    const hash = hashFlow(row, at);
    hash.low = (hash.low ^ generation) >>> 0;
    multiply(hash, factor);
    return hash.high >>> 16;
  };
}
