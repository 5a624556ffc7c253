/** Writes the store file of a test's etcd as an operator would: JSON beside the PEM files that it names. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EtcdServer } from "@isthmus/kvstore/testing";

/** Writes `file` (the root credential and the key of the store's CA) and its PEM files into `folder`. */
export async function writeStoreFile(folder: string, etcd: EtcdServer, file = "store.json"): Promise<string> {
  assert.ok(etcd.authority !== undefined, "an etcd with TLS");
  const { endpoints, ca, certificate, key } = await etcd.options("root");
  const pem = { ca, "root.crt": certificate, "root.key": key, "ca.key": etcd.authority.key };
  for (const [name, text] of Object.entries(pem)) writeFileSync(join(folder, name), String(text));
  const content = { endpoints, ca: "ca", cert: "root.crt", key: "root.key", caKey: "ca.key" };
  const path = join(folder, file);
  writeFileSync(path, JSON.stringify(content));
  return path;
}
