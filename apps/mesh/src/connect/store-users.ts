/** Checks and creates the etcd user of a cluster. */
import { clusterGrants, provisionCluster, type Store } from "@isthmus/kvstore";
import { parseClusterId, parseClusterName } from "@isthmus/model";
import { readUsers, rememberUser, usersFile } from "./users-file.js";

/** True when user, role and grants are exactly those of a member, and the users file holds it. */
export async function hasStoreUser(store: Store, storeFile: string, name: string, id: number): Promise<boolean> {
  const remembered = (await readUsers(usersFile(storeFile))).some((user) => user.name === name && user.id === id);
  return remembered && (await isProvisioned(store, name, id));
}

/** Writes the users file first: if etcd is wiped in between, its owner creates the user from it. */
export async function makeStoreUser(store: Store, storeFile: string, name: string, id: number): Promise<void> {
  await rememberUser(usersFile(storeFile), { name, id });
  await provisionCluster(store, parseClusterName(name), parseClusterId(id));
}

async function isProvisioned(store: Store, name: string, id: number): Promise<boolean> {
  const { auth } = store.transport;
  try {
    const { roles } = await auth.userGet({ name });
    const { perm } = await auth.roleGet({ role: name });
    const have = (perm ?? []).map(({ permType, key, range_end }) => `${permType} ${key} ${range_end}`);
    const want = clusterGrants(parseClusterName(name), parseClusterId(id)).map(
      ({ access, key, end }) => `${access} ${key} ${end ?? ""}`,
    );
    return (roles ?? []).join() === name && have.sort().join() === want.sort().join();
  } catch (thrown) {
    if (thrown instanceof Error && /not found/.test(thrown.message)) return false;
    throw thrown;
  }
}
