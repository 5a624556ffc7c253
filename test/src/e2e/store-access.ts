/** Opens the shared store as its owner, or as one of its members. */
import { readFile } from "node:fs/promises";
import { type KubeSecret, MESH_CLUSTERS, type MeshCluster, SECRETS } from "@isthmus/kube";
import { createStore, type Store, type StoreOptions } from "@isthmus/kvstore";
import type { LabHandle } from "@isthmus/lab";
import type { Cluster } from "./cluster.js";

interface StoreFile {
  readonly endpoints: readonly string[];
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** With the owner's credential, which permits what no cluster may do. */
export async function withOwner<T>(lab: LabHandle, use: (store: Store) => Promise<T>): Promise<T> {
  const { endpoints, ca, cert, key } = JSON.parse(await readFile(lab.storeFile, "utf8")) as StoreFile;
  const text = (path: string) => readFile(path, "utf8");
  return withStore({ endpoints, ca: await text(ca), certificate: await text(cert), key: await text(key) }, use);
}

/** With the certificate and key of a cluster's apiserver. */
export async function withMember<T>({ client, plan }: Cluster, use: (store: Store) => Promise<T>): Promise<T> {
  const secret = await client.get<KubeSecret>(SECRETS, "mesh-store-key", { namespace: "mesh-system" });
  const key = Buffer.from(secret?.data?.["tls.key"] ?? "", "base64").toString("utf8");
  const store = (await client.get<MeshCluster>(MESH_CLUSTERS, plan.name))?.spec.store;
  if (store === undefined) throw new Error(`Cannot use the store as ${plan.name}: it is not connected`);
  return withStore({ ...store, key }, use);
}

async function withStore<T>(options: StoreOptions, use: (store: Store) => Promise<T>): Promise<T> {
  const store = createStore(options);
  try {
    return await use(store);
  } finally {
    store.close();
  }
}
