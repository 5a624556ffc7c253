import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parseClusterName } from "@isthmus/model";
import { Endpoint, Identity, Kind } from "@isthmus/proto";
import { createSourceIndex, type HashedRecord, hashRecord, localPosition } from "@isthmus/records";
import type { StreamSource } from "../../ports/stream-source.js";
import { listIdentities } from "./identity-reports.js";

const identity = (number: number, namespace: string, extra = 0) => {
  const many = Array.from({ length: extra }, (_, i) => ({ key: `k${i}`, value: "" }));
  const labels = [...many, { key: "io.kubernetes.pod.namespace", value: namespace }];
  return hashRecord(Kind.KIND_IDENTITY, `identities/${number}`, Identity.encode({ labels }).finish());
};
const endpoint = (address: string, number: number, pod: string) => {
  const message = {
    address: Buffer.from(parseAddress(address)),
    identity: number,
    namespace: "shop",
    pod,
    podUid: pod,
  };
  const value = Endpoint.encode(Endpoint.fromPartial(message)).finish();
  return hashRecord(Kind.KIND_ENDPOINT, `endpoints/${address}`, value);
};
const source = (cluster: string, ...upserts: readonly HashedRecord[]) => {
  const index = createSourceIndex();
  const position = localPosition(Buffer.alloc(16, 1), [1n]);
  index.apply({ upserts, deletes: [], position, observedMicros: 0 });
  return { cluster: parseClusterName(cluster), index } as StreamSource;
};

const [EAST, WEST] = [1 << 20, 2 << 20];

test("each identity of each cluster is listed with its pods, a pod with two addresses once", async () => {
  const all = [
    source(
      "east",
      identity(EAST + 257, "shop"),
      identity(EAST + 256, "shop"),
      endpoint("10.11.1.5", EAST + 256, "web-2"),
      endpoint("fd00::5", EAST + 256, "web-2"),
      endpoint("10.11.1.6", EAST + 256, "web-1"),
      hashRecord(Kind.KIND_ENDPOINT, "endpoints/10.11.1.7", Buffer.from([0xff])),
      hashRecord(Kind.KIND_IDENTITY, `identities/${EAST + 300}`, Buffer.from([0xff])),
    ),
    source("west", identity(WEST + 256, "bank")),
  ];
  const list = async (namespace: string) =>
    (await listIdentities({ all }, { namespace })).identities.map(
      ({ number, cluster, pods, example }) => `${number} ${cluster} ${pods} ${example}`,
    );
  assert.deepEqual(await list(""), [
    `${EAST + 256} east 2 shop/web-1`,
    `${EAST + 257} east 0 `,
    `${WEST + 256} west 0 `,
  ]);
  assert.deepEqual(await list("bank"), [`${WEST + 256} west 0 `]);
  assert.deepEqual(await list("none"), []);
});

test("an answer has a bound, and says what it leaves out", async () => {
  const all = [source("east", ...Array.from({ length: 5000 }, (_, i) => identity(EAST + 256 + i, "shop")))];
  const { identities, leftOut } = await listIdentities({ all }, { namespace: "" });
  assert.deepEqual([identities.length, leftOut], [4000, 1000]);
  const [wide] = (await listIdentities({ all: [source("east", identity(EAST + 256, "shop", 200))] }, { namespace: "" }))
    .identities;
  assert.equal(wide?.labels.length, 64);
});
