/**
 * The users of the shared etcd, which must survive a wipe: `users.json` beside the store file.
 *
 *   {"users": [{"name": "east", "id": 1}]}
 *
 * `mesh connect` writes it when it creates a cluster's user in etcd; the lab recreates the users in an empty store.
 */
import { readFile } from "node:fs/promises";
import { at, list } from "../api/json.js";

/** One cluster's user: the name is the certificate's common name, the id determines its key `/mesh/v1/ids/<id>`. */
export interface StoreUser {
  readonly name: string;
  readonly id: number;
}

export interface Permission {
  readonly access: "READ" | "READWRITE";
  readonly key: string;
  /** End of the range, exclusive; absent for exactly this key. */
  readonly rangeEnd?: string;
}

/** The permissions of a cluster's role. */
export function permissionsOf(user: StoreUser): Permission[] {
  const own = `/mesh/v1/c/${user.name}/`;
  return [
    { access: "READ", key: "/mesh/v1/", rangeEnd: endOfPrefix("/mesh/v1/") },
    { access: "READWRITE", key: own, rangeEnd: endOfPrefix(own) },
    { access: "READWRITE", key: `/mesh/v1/ids/${user.id}` },
  ];
}

/** The first key after all keys that begin with the prefix (ASCII). */
export function endOfPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

export async function readStoreUsers(file: string): Promise<StoreUser[]> {
  const content: unknown = JSON.parse(await readFile(file, "utf8").catch(() => "{}"));
  return list(content, "users").flatMap((user) => {
    const [name, id] = [at(user, "name"), at(user, "id")];
    return typeof name === "string" && typeof id === "number" ? [{ name, id }] : [];
  });
}
