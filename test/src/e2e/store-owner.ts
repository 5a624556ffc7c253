/** The shared store through its owner's credential: what no cluster may do. */
import { readFile } from "node:fs/promises";
import { createStore, type Store } from "@isthmus/kvstore";
import type { LabHandle } from "@isthmus/lab";

interface StoreFile {
  readonly endpoints: readonly string[];
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export async function withOwner<T>(lab: LabHandle, use: (store: Store) => Promise<T>): Promise<T> {
  const { endpoints, ca, cert, key } = JSON.parse(await readFile(lab.storeFile, "utf8")) as StoreFile;
  const text = (path: string) => readFile(path, "utf8");
  const store = createStore({ endpoints, ca: await text(ca), certificate: await text(cert), key: await text(key) });
  try {
    return await use(store);
  } finally {
    store.close();
  }
}
