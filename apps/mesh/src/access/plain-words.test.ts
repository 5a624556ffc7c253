import assert from "node:assert/strict";
import { test } from "node:test";
import { plainWords } from "./plain-words.js";

test("messages of grpc-js are replaced by plain network terms; the rest of the sentence stays", () => {
  for (const [raw, plain] of [
    [
      "Deadline exceeded after 3.002s,name resolution: 0.004s,metadata filters: 0.003s,Waiting for LB pick",
      "no answer in time",
    ],
    ["Channel closed before call started", "the connection was closed"],
    [
      "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1 (2026-11-28T22:00:00.000Z). Resolution note: ",
      "connection refused",
    ],
    ["Name resolution failed for target dns:nowhere:7444", "its name does not resolve"],
    [
      "No connection established. Last error: certificate has expired (2026-11-28T22:00:00.000Z). Resolution note: ",
      "certificate has expired",
    ],
    ["No connection established. Last error: null. Resolution note: ", "no connection"],
    ["read ECONNRESET", "the connection was cut"],
    ["etcdserver: permission denied", "etcdserver: permission denied"],
  ] as const)
    assert.equal(
      plainWords(`Cannot read "/mesh/v1/ids/" from the store: ${raw}`),
      `Cannot read "/mesh/v1/ids/" from the store: ${plain}`,
    );
});
