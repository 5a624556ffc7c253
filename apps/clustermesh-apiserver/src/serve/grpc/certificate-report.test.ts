import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthority, expiresAt } from "@isthmus/pki";
import { reportCertificates } from "./certificate-report.js";

test("readable certificates are reported with their expiry in seconds; absent and unreadable ones are not", async () => {
  const { certificate } = await createAuthority("a", 30);
  const notAfter = BigInt(expiresAt(certificate).getTime() / 1000);
  assert.deepEqual(reportCertificates({ server: certificate, ca: "nonsense", store: undefined }), [
    { name: "server", notAfter },
  ]);
});
