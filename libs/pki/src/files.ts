/** PEM files: everyone may read certificates, only the owner may read keys. A file is replaced atomically. */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MeshError } from "@isthmus/model";
import type { KeyPair } from "./authority.js";

/** Writes certificates; mode 0644. */
export function writeCertificate(path: string, pem: string): Promise<void> {
  return replace(path, pem, 0o644);
}

/** Writes a private key; mode 0600 from its first byte. */
export function writeKey(path: string, pem: string): Promise<void> {
  return replace(path, pem, 0o600);
}

/** Writes `<dir>/<name>.key`, then `<dir>/<name>.crt`: a process that waits for the certificate finds both. */
export async function writePair(dir: string, name: string, pair: KeyPair): Promise<void> {
  await writeKey(join(dir, `${name}.key`), pair.key);
  await writeCertificate(join(dir, `${name}.crt`), pair.certificate);
}

/** Reads what `writePair` wrote. */
export async function readPair(dir: string, name: string): Promise<KeyPair> {
  const [certificate, key] = await Promise.all([readPem(join(dir, `${name}.crt`)), readPem(join(dir, `${name}.key`))]);
  return { certificate, key };
}

/** The text of a PEM file. Throws `PKI_FILE` when it is missing or holds no PEM block. */
export async function readPem(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new MeshError({ code: "PKI_FILE", path }, `Cannot read PEM file "${path}"`, { cause });
  });
  if (text.includes("-----BEGIN ")) return text;
  throw new MeshError({ code: "PKI_FILE", path }, `Cannot use "${path}": it holds no PEM block`);
}

async function replace(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, text, { mode, flag: "wx" });
  await rename(temporary, path);
}
