/**
 * Records whose address changed hands, waiting to be judged again.
 *
 * Addresses change hands while a record is judged, so the others are judged once that is done: each record once, however
 * many of its addresses moved. Judging claims nothing new, so no review causes another.
 */
import { type AddressClaims, LOCAL } from "./address-claims.js";

/** `later` runs its callback once the current judgement is done. */
export function reviewOnChange(
  claims: AddressClaims,
  review: (cluster: number, keys: ReadonlySet<string>) => void,
  later: (run: () => void) => void = setImmediate,
): void {
  const waiting = new Map<number, Set<string>>();

  function reviewAll(): void {
    const due = [...waiting];
    waiting.clear();
    for (const [cluster, keys] of due) review(cluster, keys);
  }

  claims.onChange((concerned) => {
    if (waiting.size === 0) later(reviewAll);
    for (const { cluster, key } of concerned) {
      if (cluster === LOCAL) continue;
      const keys = waiting.get(cluster);
      if (keys === undefined) waiting.set(cluster, new Set([key]));
      else keys.add(key);
    }
  });
}
