import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthority, expiresAt } from "@isthmus/pki";
import { reportCertificates } from "./certificate-report.js";

test("what can be read, in seconds; neither what is not there nor what cannot be read", async () => {
  const { certificate } = await createAuthority("a", 30);
  const notAfter = BigInt(expiresAt(certificate).getTime() / 1000);
  assert.deepEqual(reportCertificates({ server: certificate, ca: "nonsense", store: undefined }), [
    { name: "server", notAfter },
  ]);
});
