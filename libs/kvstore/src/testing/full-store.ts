/** A store that has used up its quota, and what an operator does about it. */
import type { Store } from "../store.js";

const JUNK = "/junk/";
/** One above every key that begins with it. */
const JUNK_END = "/junk0";
/** 1 MiB each; a store that takes all of them has no quota that a test should fill. */
const MOST = 40;

/** Another member writes until nobody may any more. */
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
