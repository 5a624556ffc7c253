/** Reads the store's id and the heads from the shared store, with the owner's credential. */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { clusterPrefix, createStore, HEAD_KEY, STORE_KEY, type Store } from "@isthmus/kvstore";
import { parseClusterName } from "@isthmus/model";
import { Head, HeadState } from "@isthmus/proto";

export interface StoreView {
  /** One id per cluster; null while one is missing or the store does not answer. */
  id(): Promise<string | null>;
  live(): Promise<boolean>;
  close(): void;
}

/** `file`: the store file (MESH_STORE). */
export async function openStoreView(file: string, clusters: readonly string[]): Promise<StoreView> {
  const store = await openStore(file);
  const all = async (key: string) => {
    try {
      return await Promise.all(
        clusters.map(async (c) => (await store.get(clusterPrefix(parseClusterName(c)) + key)).entry?.value ?? null),
      );
    } catch {
      return clusters.map(() => null); // the store is down
    }
  };
  return {
    async id() {
      const ids = await all(STORE_KEY);
      const words = ids.map((id, n) => (id === null ? null : `${clusters[n]} ${id.subarray(0, 4).toString("hex")}`));
      return words.includes(null) ? null : words.join(", ");
    },
    async live() {
      const heads = await all(HEAD_KEY);
      return heads.every((head) => head !== null && Head.decode(head).state === HeadState.HEAD_STATE_LIVE);
    },
    close: () => store.close(),
  };
}

async function openStore(file: string): Promise<Store> {
  const { endpoints, ca, cert, key } = JSON.parse(await readFile(file, "utf8")) as Record<
    "ca" | "cert" | "key",
    string
  > & {
    endpoints: string[];
  };
  const [caText, certificate, keyText] = await Promise.all(
    [ca, cert, key].map((path) => readFile(resolve(dirname(file), path), "utf8")),
  );
  if (caText === undefined || certificate === undefined || keyText === undefined)
    throw new Error(`Cannot read "${file}"`);
  return createStore({ endpoints, ca: caText, certificate, key: keyText, deadlineMs: 1000 });
}
