/**
 * Users, roles and permissions of a store.
 *
 * A user is the common name of a client certificate; there are no passwords. The role of a cluster: read and write its
 * own prefix and exactly its own claim, read everything of the mesh. Each call may be repeated: it adds what is missing
 * and removes excess permissions.
 */
import { type ClusterId, type ClusterName, MeshError } from "@isthmus/model";
import type { IPermission } from "etcd3";
import { StoreError, storeError } from "./errors.js";
import { claimKey, clusterPrefix, prefixEnd, ROOT_PREFIX } from "./layout.js";
import type { Store } from "./store.js";

export interface Permission {
  /** As etcd3 names them; Write and Readwrite permit deletions too. */
  readonly access: "Read" | "Write" | "Readwrite";
  /** The whole key, or the start of the range. */
  readonly key: string;
  /** Exclusive end of the range; absent: exactly `key`. */
  readonly end?: string;
}

/** All permissions of a cluster's role. */
export function clusterGrants(cluster: ClusterName, id: ClusterId): readonly Permission[] {
  return [
    { access: "Read", key: ROOT_PREFIX, end: prefixEnd(ROOT_PREFIX) },
    { access: "Readwrite", key: clusterPrefix(cluster), end: prefixEnd(clusterPrefix(cluster)) },
    { access: "Readwrite", key: claimKey(id) },
  ];
}

/** Creates the user "root" and enables authentication. Needs a store without authentication, or root's certificate. */
export async function provisionStore(owner: Store): Promise<void> {
  await ensureUser(owner, "root", []);
  const { auth } = owner.transport;
  await attempt("enable authentication", async () => {
    if (!(await authEnabled(owner))) await auth.authEnable();
  });
}

/** Creates the etcd user of a cluster with exactly `clusterGrants`. `owner`: the store with root's certificate. */
export async function provisionCluster(owner: Store, cluster: ClusterName, id: ClusterId): Promise<void> {
  if ((cluster as string) === "root") {
    throw new MeshError(
      { code: "CLUSTER_NAME", value: cluster },
      `Cannot use cluster name "root": it is the user name of the store's owner`,
    );
  }
  await ensureUser(owner, cluster, clusterGrants(cluster, id));
}

/** Removes a cluster's user and role. Its open watches continue until its connections are closed. */
export async function removeCluster(owner: Store, cluster: ClusterName): Promise<void> {
  const { auth } = owner.transport;
  await attempt(`remove user "${cluster}"`, () => unlessMissing(auth.userDelete({ name: cluster })));
  await attempt(`remove role "${cluster}"`, () => unlessMissing(auth.roleDelete({ role: cluster })));
}

/**
 * True when authentication is enabled. Clusters may not read that status: a refusal means that it is enabled.
 * Rejects when the store does not answer.
 */
export async function authEnabled(store: Store): Promise<boolean> {
  try {
    const answer = await store.transport.calls.exec<{ enabled: boolean }>("Auth", "authStatus", {});
    return answer.enabled;
  } catch (thrown) {
    const error = storeError(thrown, "read the authentication status of the store");
    if (error.code === "STORE_DENIED" || error.code === "STORE_UNAUTHENTICATED") return true;
    throw error;
  }
}

async function ensureUser(owner: Store, name: string, grants: readonly Permission[]): Promise<void> {
  const { auth } = owner.transport;
  await attempt(`create role "${name}"`, () => unlessExisting(auth.roleAdd({ name })));
  await attempt(`grant role "${name}"`, () => ensureGrants(owner, name, grants));
  await attempt(`create user "${name}"`, () => unlessExisting(auth.userAdd({ name, options: { no_password: true } })));
  await attempt(`grant user "${name}" its role`, async () => {
    const roles = (await auth.userGet({ name })).roles ?? [];
    if (!roles.includes(name)) await auth.userGrantRole({ user: name, role: name });
    for (const role of roles) if (role !== name) await auth.userRevokeRole({ name, role });
  });
}

async function ensureGrants(owner: Store, role: string, grants: readonly Permission[]): Promise<void> {
  const { auth } = owner.transport;
  const have = ((await auth.roleGet({ role })).perm ?? []).map(fromPermission);
  const text = ({ access, key, end }: Permission): string => `${access} ${key} ${end ?? ""}`;
  const wanted = new Set(grants.map(text));
  for (const grant of have) {
    if (wanted.has(text(grant)) || role === "root") continue;
    const range = { key: Buffer.from(grant.key), range_end: Buffer.from(grant.end ?? "") };
    await auth.roleRevokePermission({ role, ...range });
  }
  const existing = new Set(have.map(text));
  for (const grant of grants) {
    if (!existing.has(text(grant))) await auth.roleGrantPermission({ name: role, perm: toPermission(grant) });
  }
}

function toPermission({ access, key, end }: Permission): IPermission {
  return { permType: access, key: Buffer.from(key), range_end: Buffer.from(end ?? "") };
}

function fromPermission({ permType, key, range_end }: IPermission): Permission {
  const end = range_end.toString();

  return { access: permType, key: key.toString(), ...(end === "" ? {} : { end }) };
}

async function attempt(action: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    throw storeError(thrown, action);
  }
}

/** Creating what already exists is success. */
async function unlessExisting(call: Promise<unknown>): Promise<void> {
  await call.catch((thrown: unknown) => ignore(thrown, /already exists/));
}

/** Removing what does not exist is success. */
async function unlessMissing(call: Promise<unknown>): Promise<void> {
  await call.catch((thrown: unknown) => ignore(thrown, /not found/));
}

function ignore(thrown: unknown, text: RegExp): void {
  if (!(thrown instanceof Error) || thrown instanceof StoreError || !text.test(thrown.message)) throw thrown;
}
