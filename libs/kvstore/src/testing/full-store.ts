/** Fills a store up to its quota, and frees it as an operator does. */
import type { Store } from "../store.js";

const JUNK = "/junk/";
/** End of the range of keys that begin with `JUNK`. */
const JUNK_END = "/junk0";
/** 1 MiB each; a store that accepts all of them has no quota that a test should fill. */
const MOST = 40;

/** Writes until the quota is used up. */
export async function fillStore(store: Store): Promise<void> {
  const value = Buffer.alloc(1 << 20);
  for (let i = 0; i < MOST; i++) {
    const full = await store.txn([], [{ type: "put", key: `${JUNK}${i}`, value }]).then(
      () => false,
      (thrown: { code: string }) => thrown.code === "STORE_FULL",
    );
    if (full) return;
  }
  throw new Error(`Cannot fill the store with ${MOST} MiB: give it --quota-backend-bytes`);
}

/** Delete, compact, defragment, disarm. */
export async function emptyStore(store: Store): Promise<void> {
  const { kv, maintenance } = store.transport;
  await kv.deleteRange({ key: Buffer.from(JUNK), range_end: Buffer.from(JUNK_END) });
  const { revision } = await store.get(JUNK);
  await kv.compact({ revision: String(revision), physical: true });
  await maintenance.defragment();
  const { header } = await maintenance.status();
  await maintenance.alarm({ action: "Deactivate", memberID: header.member_id, alarm: "Nospace" });
}
