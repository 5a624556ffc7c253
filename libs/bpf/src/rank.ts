/** Ranks as the state words hold them (bpf/lib/types.h, struct state_word). */
import { Rank } from "./gen/enums.js";

/** The rank of a state word: the highest of its three bytes that is not empty. */
export function rankOf(word: number): Rank {
  if (word & 0xff0000) return Rank.Down;
  if (word & 0xff00) return Rank.Suspect;
  return word & 0xff ? Rank.Draining : Rank.Up;
}

/** Bit `source` (0..7) of the byte that gives `rank`; 0 for `Rank.Up`. Or it into a state word. */
export function rankBit(rank: Rank, source: number): number {
  return rank === Rank.Up ? 0 : (1 << source) << (8 * (rank - 1));
}
