/** Encodes and decodes ranks in state words (bpf/lib/types.h, struct state_word). */
import { Rank } from "./gen/enums.js";

/** The rank of a state word: that of its highest byte that is not zero. */
export function rankOf(word: number): Rank {
  if (word & 0xff0000) return Rank.Down;
  if (word & 0xff00) return Rank.Suspect;
  return word & 0xff ? Rank.Draining : Rank.Up;
}

/** Bit `source` (0..7) of the byte for `rank`, to be ORed into a state word; 0 for `Rank.Up`. */
export function rankBit(rank: Rank, source: number): number {
  return rank === Rank.Up ? 0 : (1 << source) << (8 * (rank - 1));
}
