/** Reads which cluster has claimed an id in the store. An unreadable claim does not free the id: it rejects with the fix. */
import { claimKey, type Store, StoreError } from "@isthmus/kvstore";
import type { ClusterId } from "@isthmus/model";
import type { ClusterClaim } from "@isthmus/proto";
import { readClaim } from "@isthmus/records";

/** `claim` undefined: the id is free. */
export async function readIdClaim(
  store: Store,
  id: ClusterId,
): Promise<{ readonly claim: ClusterClaim | undefined; readonly revision: bigint }> {
  const { entry, revision } = await store.get(claimKey(id));
  const claim = entry && readClaim(entry.value);
  if (entry === undefined || claim !== undefined) return { claim, revision };
  const action = `read the claim of id ${id}`;
  const fix = `remove it, and its cluster claims it again: etcdctl del ${claimKey(id)}`;
  throw new StoreError(
    { code: "STORE_ERROR", action },
    `Cannot ${action}: the stored value is not a valid claim; ${fix}`,
  );
}
