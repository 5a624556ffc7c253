/** Adding, changing and removing one MeshPeer of many lists that peer at most, and no other. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clusterPrefix, HEAD_KEY, STORE_KEY, type Store, type WatchOptions } from "@isthmus/kvstore";
import { parseClusterName, parsePrefix } from "@isthmus/model";
import { Head, HeadState } from "@isthmus/proto";
import { createRecordTable, STORE_KINDS } from "@isthmus/records";
import { nextTurn } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import type { PeerSpec } from "./peer.js";
import { peer, type RunningSources, runSources } from "./testing/fixture.js";

const PEERS = 90;

/** A store in which every cluster is LIVE without records. Counts the listings of each prefix. */
function countingStore(): { readonly store: Store; readonly listings: string[] } {
  const listings: string[] = [];
  const sums = createRecordTable().sums(STORE_KINDS);
  const head = Buffer.from(
    Head.encode(
      Head.create({ clusterUid: "u", state: HeadState.HEAD_STATE_LIVE, writer: "w", seq: 1n, sums }),
    ).finish(),
  );
  const id = Buffer.alloc(16, 1);
  const store: Partial<Store> = {
    get: async (key) => ({
      entry: key.endsWith(`/${STORE_KEY}`) ? { key, value: id, modRevision: 1n } : undefined,
      revision: 1n,
    }),
    count: async () => 2,
    async *list(prefix) {
      listings.push(prefix);
      const entries = [
        { key: prefix + STORE_KEY, value: id, modRevision: 1n },
        { key: prefix + HEAD_KEY, value: head, modRevision: 1n },
      ];
      yield { entries, revision: 1n, more: false };
    },
    watch: ({ signal }: WatchOptions, onNews) =>
      new Promise((resolve) => {
        onNews({ type: "opened", storeRevision: 1n });
        signal.addEventListener("abort", () => resolve(), { once: true });
      }),
  };
  return { store: store as Store, listings };
}

const all = Array.from({ length: PEERS }, (_, i) => peer(`c${i + 1}`, i + 1));
const { store, listings } = countingStore();
const running: RunningSources = runSources(store, all);
after(() => running.stop());
const allProved = () => until("all are in sync", () => running.sources.list().every((source) => source.isVerified()));

/** The prefixes that are listed after a change of the MeshPeers. */
async function listedFor(wanted: readonly PeerSpec[]): Promise<readonly string[]> {
  await allProved();
  listings.length = 0;
  running.sources.update(wanted);
  await until("the wanted peers are in sync", () =>
    wanted.every(({ id }) => running.sources.get(id)?.isVerified() === true),
  );
  await nextTurn(); // records are judged a turn later
  return [...listings];
}

const prefixOf = (name: string): string => clusterPrefix(parseClusterName(name));

test("every peer is listed once", async () => {
  await allProved();
  assert.equal(listings.length, PEERS);
});

test("an added peer is the only one listed, although its ranges are now foreign to all others", async () => {
  assert.deepEqual(await listedFor([...all, peer("more", 98)]), [prefixOf("more")]);
});

test("a change of ranges lists no peer", async () => {
  const wider = { ...peer("more", 98), podCidrs: [parsePrefix("10.98.0.0/16"), parsePrefix("10.240.0.0/16")] };
  assert.deepEqual(await listedFor([...all, wider]), []);
});

test("a changed uid lists that peer, since the store may be another cluster's", async () => {
  assert.deepEqual(await listedFor([...all, peer("more", 98, "uid")]), [prefixOf("more")]);
});

test("the same peers again, and the removal of one, list no peer", async () => {
  assert.deepEqual(await listedFor([...all, peer("more", 98, "uid")]), []);
  assert.deepEqual(await listedFor(all), []);
});
