/** Encodes and decodes ranks in state words (bpf/lib/types.h, struct state_word). */
import { Rank } from "./gen/enums.js";
import { StateWord } from "./gen/state-word.js";

/** The rank of a state word: the highest that is reported. */
export function rankOf(word: number): Rank {
  const { draining, suspect, down } = StateWord.fromWord(word);
  if (down !== 0) return Rank.Down;
  if (suspect !== 0) return Rank.Suspect;
  return draining === 0 ? Rank.Up : Rank.Draining;
}

/** Bit `source` (0..7) of the byte for `rank`, to be ORed into a state word; 0 for `Rank.Up`. */
export function rankBit(rank: Rank, source: number): number {
  const reporter = (of: Rank) => (rank === of ? 1 << source : 0);
  const [draining, suspect, down] = [reporter(Rank.Draining), reporter(Rank.Suspect), reporter(Rank.Down)];
  return StateWord.toWord({ draining, suspect, down });
}
