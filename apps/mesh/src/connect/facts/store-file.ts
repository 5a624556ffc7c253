/**
 * Reads the store file: the shared etcd's endpoints and the owner's credential for it.
 *
 * JSON `{"endpoints": ["https://…"], "ca": path, "cert": path, "key": path, "caKey": path}`; paths are relative to the file.
 * `cert` is the owner's (CN=root), `caKey` signs the clusters' requests.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { MeshError } from "@isthmus/model";
import { type Authority, readPem } from "@isthmus/pki";

export interface StoreFile {
  /** Where it was read; the users file is in the same folder. */
  readonly path: string;
  /** At least one https URL. */
  readonly endpoints: readonly string[];
  /** The CA with its key: signs the clusters' requests. */
  readonly authority: Authority;
  /** The owner's credential, PEM. */
  readonly certificate: string;
  /** Of `certificate`, PKCS#8 PEM. */
  readonly key: string;
}

/** Throws STORE_FILE with the file and what is wrong with it. */
export async function readStoreFile(path: string): Promise<StoreFile> {
  const content = await parsed(path);
  const { endpoints } = content;
  if (!Array.isArray(endpoints) || endpoints.length === 0 || !endpoints.every(isHttps))
    throw fileError(path, '"endpoints" must be a list of https URLs');
  const [ca, certificate, key, caKey] = await Promise.all(
    (["ca", "cert", "key", "caKey"] as const).map((name) => pem(path, name, content[name])),
  );
  if (ca === undefined || certificate === undefined || key === undefined || caKey === undefined)
    throw fileError(path, "a PEM file is empty");
  return { path, endpoints: endpoints.map(String), authority: { certificate: ca, key: caKey }, certificate, key };
}

async function parsed(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw fileError(path, "it cannot be read", cause);
  });
  try {
    const content: unknown = JSON.parse(text);
    if (content !== null && typeof content === "object") return content as Record<string, unknown>;
  } catch (cause) {
    throw fileError(path, "it is not JSON", cause);
  }
  throw fileError(path, "it is not a JSON object");
}

async function pem(path: string, name: string, value: unknown): Promise<string> {
  if (typeof value !== "string" || value === "") throw fileError(path, `"${name}" must be the path of a PEM file`);
  return readPem(resolve(dirname(path), value)).catch((cause: unknown) => {
    throw fileError(path, `"${name}": ${(cause as Error).message}`, cause);
  });
}

function isHttps(value: unknown): boolean {
  return typeof value === "string" && value.startsWith("https://");
}

function fileError(path: string, why: string, cause?: unknown): MeshError<{ code: "STORE_FILE"; path: string }> {
  return new MeshError({ code: "STORE_FILE", path }, `Cannot use store file "${path}": ${why}`, { cause });
}
