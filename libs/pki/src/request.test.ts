import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { createAuthority } from "./authority.js";
import { isSignedBy, readCertificate } from "./certificate.js";
import { createKey } from "./key.js";
import { createRequest, requestName, requestPublicKey, signRequest } from "./request.js";

const DAY_MS = 86_400_000;

test("a request becomes a certificate for the same key, with the name and dates of the signer", async () => {
  const authority = await createAuthority("store-ca");
  const request = await createRequest({ key: await createKey(), cn: "east" });
  assert.equal(requestName(request), "east");
  const before = Date.now();
  const certificate = await signRequest(authority, request, { cn: "east", usages: ["client"], days: 30 });
  const facts = readCertificate(certificate);
  assert.equal(facts.cn, "east");
  assert.deepEqual(facts.publicKey, requestPublicKey(request));
  assert.ok(isSignedBy(certificate, authority.certificate));
  assert.ok(Math.abs(facts.notBefore.getTime() - (before - 300_000)) < 10_000);
  assert.ok(Math.abs(facts.notAfter.getTime() - (before + 30 * DAY_MS)) < 10_000);
});

test("a request for another name is refused, and the error contains both names", async () => {
  const authority = await createAuthority("store-ca");
  const request = await createRequest({ key: await createKey(), cn: "root" });
  await assert.rejects(signRequest(authority, request, { cn: "west", usages: ["client"] }), {
    code: "PKI_REQUEST",
    message: 'Cannot sign the certificate request: it asks for "root", expected "west"',
  });
});

test("alternative names in the request are ignored", async () => {
  const authority = await createAuthority("store-ca");
  const request = await createRequest({ key: await createKey(), cn: "east", sans: ["mesh-etcd", "10.0.0.1"] });
  const certificate = await signRequest(authority, request, { cn: "east", usages: ["client"] });
  const text = execFileSync("openssl", ["x509", "-noout", "-text"], { input: certificate, encoding: "utf8" });
  assert.doesNotMatch(text, /Alternative Name/);
  assert.match(text, /TLS Web Client Authentication/);
  assert.doesNotMatch(text, /TLS Web Server Authentication/);
});

test("a request whose signature was altered is refused", async () => {
  const authority = await createAuthority("store-ca");
  const der = Buffer.from(
    (await createRequest({ key: await createKey(), cn: "east" })).replace(/-----.*-----/g, ""),
    "base64",
  );
  der.writeUInt8(der.readUInt8(der.length - 1) ^ 1, der.length - 1);
  const altered = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  await assert.rejects(signRequest(authority, altered, { cn: "east", usages: ["client"] }), { code: "PKI_REQUEST" });
});

test("two common names, a key that is not EC P-256, and text that is not a request are refused", async () => {
  const authority = await createAuthority("store-ca");
  for (const [args, why] of [
    [["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=east/CN=west"], /asks for ""/],
    [["-newkey", "rsa:2048", "-subj", "/CN=east"], /its key is RSA/],
  ] as const) {
    const request = execFileSync("openssl", ["req", "-new", "-nodes", "-keyout", "/dev/null", ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    await assert.rejects(signRequest(authority, request, { cn: "east", usages: ["client"] }), why);
  }
  await assert.rejects(signRequest(authority, "hello", { cn: "east", usages: ["client"] }), { code: "PKI_REQUEST" });
});

test("a request made by openssl is signed", async () => {
  const authority = await createAuthority("store-ca");
  const request = execFileSync(
    "openssl",
    [
      "req",
      "-new",
      "-nodes",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-keyout",
      "/dev/null",
      "-subj",
      "/CN=east",
    ],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  const certificate = await signRequest(authority, request, { cn: "east", usages: ["client"] });
  assert.deepEqual(readCertificate(certificate).publicKey, requestPublicKey(request));
});
