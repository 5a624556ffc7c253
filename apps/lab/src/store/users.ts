/**
 * The users of the shared etcd that a wipe must not lose: `users.json` beside the store file.
 *
 * `mesh connect` adds a line per cluster when it makes the user in etcd; the lab makes them again in an empty store.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
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

export function usersFile(storeFile: string): string {
  return join(dirname(storeFile), "users.json");
}

export async function readStoreUsers(file: string): Promise<StoreUser[]> {
  const content: unknown = JSON.parse(await readFile(file, "utf8").catch(() => "{}"));
  return list(content, "users").flatMap((user) => {
    const [name, id] = [at(user, "name"), at(user, "id")];
    return typeof name === "string" && typeof id === "number" ? [{ name, id }] : [];
  });
}

/** Remembers a user, for `mesh connect`. `storeFile`: the path in MESH_STORE. A user of the same name is replaced. */
export async function rememberStoreUser(storeFile: string, user: StoreUser): Promise<void> {
  const file = usersFile(storeFile);
  const others = (await readStoreUsers(file)).filter(({ name }) => name !== user.name);
  const users = [...others, user].sort((a, b) => (a.name < b.name ? -1 : 1));
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify({ users }, null, 2)}\n`);
  await rename(temporary, file);
}
