/**
 * `users.json` beside the store file lists the users of the store. A wiped store has none and lets anyone write, so its owner
 * recreates them from this file before it opens the store.
 *
 *   {"users": [{"name": "east", "id": 1}, …]}   sorted by name
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MeshError } from "@isthmus/model";

export interface StoreUser {
  /** Cluster name = common name of its certificate. */
  readonly name: string;
  /** Cluster id, whose claim the user may write. */
  readonly id: number;
}

/** Path of the users file for a store file. */
export function usersFile(storeFile: string): string {
  return join(dirname(storeFile), "users.json");
}

/** Returns no users when the file is missing. Throws USERS_FILE when its content is invalid. */
export async function readUsers(path: string): Promise<readonly StoreUser[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return '{"users": []}';
    throw usersError(path, error);
  });
  try {
    const { users } = JSON.parse(text) as { users: StoreUser[] };
    return users.map(({ name, id }) => ({ name, id }));
  } catch (cause) {
    throw usersError(path, cause);
  }
}

/** Adds or corrects one user; returns false when the file contains it already. */
export async function rememberUser(path: string, user: StoreUser): Promise<boolean> {
  const users = await readUsers(path);
  if (users.some(({ name, id }) => name === user.name && id === user.id)) return false;
  const next = [...users.filter(({ name }) => name !== user.name), user].sort((a, b) => (a.name < b.name ? -1 : 1));
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify({ users: next }, null, 2)}\n`);
  await rename(temporary, path);
  return true;
}

function usersError(path: string, cause: unknown): MeshError<{ code: "USERS_FILE"; path: string }> {
  return new MeshError({ code: "USERS_FILE", path }, `Cannot read users file "${path}"`, { cause });
}
