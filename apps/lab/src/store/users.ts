/**
 * The users of the shared etcd that a wipe must not lose: `users.json` beside the store file.
 *
 *   {"users": [{"name": "east", "id": 1}]}
 *
 * `mesh connect` writes it when it makes a cluster's user in etcd; the lab makes them again in an empty store.
 */
import { readFile } from "node:fs/promises";
import { at, list } from "../api/json.js";

/** One cluster's user: its name is the certificate's common name, its id claims `/mesh/v1/ids/<id>`. */
export interface StoreUser {
  readonly name: string;
  readonly id: number;
}

export interface Permission {
  readonly access: "READ" | "READWRITE";
  readonly key: string;
  /** End of the range, exclusive; absent: exactly this key. */
  readonly rangeEnd?: string;
}

/** What a cluster's role allows. */
export function permissionsOf(user: StoreUser): Permission[] {
  const own = `/mesh/v1/c/${user.name}/`;
  return [
    { access: "READ", key: "/mesh/v1/", rangeEnd: endOfPrefix("/mesh/v1/") },
    { access: "READWRITE", key: own, rangeEnd: endOfPrefix(own) },
    { access: "READWRITE", key: `/mesh/v1/ids/${user.id}` },
  ];
}

/** First key behind all keys that begin with the prefix (ASCII). */
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
