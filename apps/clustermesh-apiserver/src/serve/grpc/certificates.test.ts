import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "@isthmus/observe";
import { createAuthority, expiresAt } from "@isthmus/pki";
import { reportCertificates, watchCertificates } from "./certificates.js";

test("each certificate in use has a line, read at every scrape; absent and unreadable ones have none", async () => {
  const metrics = createMetrics();
  const { certificate } = await createAuthority("a", 30);
  let store: string | undefined = certificate;
  watchCertificates(metrics, () => ({ server: certificate, ca: "nonsense", store }));
  const lines = async () => (await metrics.text()).split("\n").filter((line) => line.startsWith("mesh_certificate"));
  const seconds = expiresAt(certificate).getTime() / 1000;
  const line = (name: string) => `mesh_certificate_expiry_timestamp_seconds{certificate="${name}"} ${seconds}`;
  assert.deepEqual(await lines(), [line("server"), line("store")]);
  store = undefined;
  assert.deepEqual(await lines(), [line("server")]);
});

test("readable certificates are reported with their expiry in seconds; absent and unreadable ones are not", async () => {
  const { certificate } = await createAuthority("a", 30);
  const notAfter = BigInt(expiresAt(certificate).getTime() / 1000);
  assert.deepEqual(reportCertificates({ server: certificate, ca: "nonsense", store: undefined }), [
    { name: "server", notAfter },
  ]);
});
