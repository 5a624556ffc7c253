/**
 * For tests: makes this version's publisher behave like one of another version, by changing what it reads from the store and the
 * txns that it writes.
 */
import { HEAD_KEY } from "@isthmus/kvstore";
import { Head, type Kind, type KindSum } from "@isthmus/proto";
import { accumulate, emptySum, kindOfKey, recordHash, sumBytes } from "@isthmus/records";
import type { Write } from "../events.js";
import type { ModelStore } from "./model-store.js";

/** A kind that only the next version knows, and the prefix of its keys. */
export const GADGET = 99 as Kind;
const GADGETS = "gadgets/";

export function isGadget(key: string): boolean {
  return key.startsWith(GADGETS);
}

/** The sum over these gadgets in a head of the next version. */
export function gadgetSum(entries: Iterable<{ readonly key: string; readonly value: Uint8Array }>): KindSum {
  const sum = emptySum();
  let count = 0;
  for (const { key, value } of entries) {
    if (!isGadget(key)) continue;
    accumulate(sum, recordHash(key, value), 1);
    count++;
  }
  return { kind: GADGET, exported: true, count, sum: sumBytes(sum) };
}

export function withSums(write: Write, change: (sums: readonly KindSum[]) => KindSum[]): Write {
  if (write.type !== "put" || !write.key.endsWith(HEAD_KEY)) return write;
  const head = Head.decode(write.value);
  return { ...write, value: Head.encode({ ...head, sums: change(head.sums) }).finish() };
}

/** The next version: its heads have a sum over gadgets. */
export function newerVersion(store: ModelStore): ModelStore {
  return edited(store, {
    txn: (compares, writes) =>
      store.txn(
        compares,
        writes.map((write) => withSums(write, (sums) => [...sums, gadgetSum(store.keys.values())])),
      ),
  });
}

/** The previous version, which does not know `kind`: it does not read its keys, and its heads have no sum of it. */
export function olderVersion(store: ModelStore, kind: Kind): ModelStore {
  const isKnown = ({ key }: { readonly key: string }): boolean => kindOfKey(key) !== kind;
  return edited(store, {
    keys: () => new Map([...store.keys].filter(([key]) => isKnown({ key }))),
    txn: (compares, writes) =>
      store.txn(
        compares,
        writes.map((write) => withSums(write, (sums) => sums.filter((sum) => sum.kind !== kind))),
      ),
    after(from) {
      const events = store.after(from);
      return typeof events === "string" ? events : events.filter(isKnown);
    },
  });
}

interface Changes {
  readonly keys?: () => ModelStore["keys"];
  readonly txn?: ModelStore["txn"];
  readonly after?: ModelStore["after"];
}

/** The same store with some methods replaced. */
function edited(store: ModelStore, { keys, txn, after }: Changes): ModelStore {
  return Object.create(store, {
    ...(keys && { keys: { get: keys } }),
    ...(txn && { txn: { value: txn } }),
    ...(after && { after: { value: after } }),
  }) as ModelStore;
}
