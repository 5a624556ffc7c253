import assert from "node:assert/strict";
import { test } from "node:test";
import { explainFailure } from "./dial-store.js";

const failed = (code: string) => Object.assign(new Error(code), { code });

test("of a name's several addresses, the reason is that of an address that answered", () => {
  const both = new AggregateError([failed("ECONNREFUSED"), failed("ECONNRESET")]);
  assert.deepEqual(explainFailure(both), { kind: "protocol", why: "no TLS handshake" });
  const neither = new AggregateError([failed("ECONNREFUSED"), failed("ENETUNREACH")]);
  assert.deepEqual(explainFailure(neither), { kind: "network", why: "connection refused" });
});

test("one address fails with its own reason", () => {
  assert.equal(explainFailure(failed("EHOSTUNREACH")).why, "there is no route to it");
  assert.equal(explainFailure(failed("SELF_SIGNED_CERT_IN_CHAIN")).kind, "certificate");
});
