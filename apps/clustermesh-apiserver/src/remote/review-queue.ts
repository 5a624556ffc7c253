/**
 * Records that must be judged again because an address that they claim changed its owner.
 *
 * Owners change while a record is judged, so affected records are judged after that: each once, however many of its addresses
 * are affected. A review claims no new addresses, so it causes no further review.
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
