/** The statuses of MeshPeers on a real kube-apiserver that refuses one of them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  type KubeClient,
  type KubeObject,
  MESH_PEERS,
  type MeshPeer,
} from "@isthmus/kube";
import { type KubeServer, startKubeServer } from "@isthmus/kube/testing";
import { systemClock } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { PeerState } from "@isthmus/proto";
import { PEER_STATES, peerStates } from "@isthmus/records";
import { until } from "@isthmus/testing";
import { parse } from "yaml";
import { kubeClient } from "../testing/run-apiserver.js";
import { createPeers, type PeerStatus } from "./peers.js";

const CRD = fileURLToPath(new URL("../../../../deploy/base/crds/meshpeers.yaml", import.meta.url));
let kube: KubeServer;
let admin: KubeClient;

before(async () => {
  kube = await startKubeServer();
  admin = kubeClient(kube.kubeconfig);
  await admin.create(CUSTOM_RESOURCE_DEFINITIONS, parse(readFileSync(CRD, "utf8")) as KubeObject);
  await until("MeshPeers are served", () =>
    admin.list(MESH_PEERS).then(
      () => true,
      () => false,
    ),
  );
});
after(async () => {
  admin?.transport.close();
  await kube?.stop();
});

async function peer(name: string, id: number): Promise<void> {
  const spec = { id, podCIDRs: [`10.${id}.0.0/16`], serviceCIDRs: [`10.${id + 100}.0.0/16`], uid: "u" };
  await admin.create(MESH_PEERS, { metadata: { name }, spec } as KubeObject);
}

const state = async (name: string) => (await admin.get<MeshPeer>(MESH_PEERS, name))?.status?.state;

/** Creates peers whose status is `status(name)`; `patch` is called before every write. */
function follow(
  t: TestContext,
  status: (name: string) => PeerStatus,
  patch: (name: string, signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
) {
  const client: KubeClient = {
    ...admin,
    async mergePatch(resource, name, body, target) {
      const deadline = AbortSignal.timeout(target?.timeoutMs ?? 15_000);
      await patch(name, target?.signal === undefined ? deadline : AbortSignal.any([target.signal, deadline]));
      return admin.mergePatch(resource, name, body, target);
    },
  };
  const modules = { client, clock: systemClock, log: silentLogger, onPeers: () => undefined, mayWrite: () => true };
  const peers = createPeers({ ...modules, status });
  const stop = new AbortController();
  const running = peers.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
    for (const { metadata } of await admin.list<MeshPeer>(MESH_PEERS)) {
      await admin.delete(MESH_PEERS, metadata.name ?? "");
    }
  });
  return peers;
}

for (const [how, patch] of [
  ["is refused for ever", async () => Promise.reject(new Error("the object is refused"))],
  ["is never answered", (signal) => new Promise((_, reject) => signal.addEventListener("abort", reject))],
] as const satisfies readonly (readonly [string, (signal: AbortSignal) => Promise<void>])[]) {
  test(`one peer's status write that ${how} neither stops nor delays those of the others`, async (t) => {
    let tries = 0;
    const names = ["a", "b", "c", "d"];
    for (const [i, name] of names.entries()) await peer(name, i + 2);
    let now = PeerState.PEER_STATE_SYNCING;
    const peers = follow(
      t,
      () => ({ state: now }),
      async (name, signal) => {
        if (name !== "a") return;
        tries++;
        await patch(signal);
      },
    );
    for (now of [PeerState.PEER_STATE_SYNCING, PeerState.PEER_STATE_IN_SYNC]) {
      const wanted = peerStates.name(now);
      peers.trigger();
      for (const name of ["b", "c", "d"])
        await until(`${name} is ${wanted}`, async () => (await state(name)) === wanted, 4000);
    }
    assert.equal(await state("a"), undefined);
    await until("it is tried again", () => tries > 1);
  });
}

test("the CRD accepts every state that a MeshPeer can have: all but Removed, whose object is gone", async (t) => {
  const states = PEER_STATES.filter(({ value }) => value !== PeerState.PEER_STATE_REMOVED);
  for (const { value } of states) await peer(`p${value}`, value);
  follow(t, (name) => ({ state: Number(name.slice(1)) }));
  for (const { value, name } of states) await until(name, async () => (await state(`p${value}`)) === name);
});

test("the status of a peer with a uid of 33 KB is written in printable characters", async (t) => {
  await peer("west", 2);
  const uid = `\u001b[2J\u202e${"u".repeat(33_000)}`;
  follow(t, () => ({
    state: PeerState.PEER_STATE_REFUSED,
    message: `Cannot follow cluster "west": its uid is "${uid}"`,
  }));
  await until("its status", async () => (await state("west")) === "Refused");
  const status = (await admin.get<MeshPeer>(MESH_PEERS, "west"))?.status;
  for (const text of [status?.message ?? "", status?.conditions?.[0]?.message ?? ""]) {
    assert.match(text, /^Cannot follow cluster "west": its uid is "\\u\{1b\}\[2J\\u\{202e\}uuu/);
    assert.ok(text.length < 10_000);
  }
});

test("a store id that differs only in its digits is written", async (t) => {
  await peer("west", 2);
  let storeId = "07".repeat(16);
  const peers = follow(t, () => ({ state: PeerState.PEER_STATE_IN_SYNC, storeId }));
  const held = async () => (await admin.get<MeshPeer>(MESH_PEERS, "west"))?.status?.storeId;
  await until("the first id", async () => (await held()) === storeId);
  storeId = "08".repeat(16);
  peers.trigger();
  await until("the second id", async () => (await held()) === storeId, 15_000);
});

test("store id, revision and age of a peer that is no longer followed are removed once", async (t) => {
  await peer("west", 2);
  let status: PeerStatus = {
    ...{ state: PeerState.PEER_STATE_IN_SYNC, storeId: "07".repeat(16) },
    ...{ revision: "9", headBeatAgeMs: 0 },
  };
  let patches = 0;
  const peers = follow(
    t,
    () => status,
    async () => {
      patches++;
    },
  );
  const found = async () => (await admin.get<MeshPeer>(MESH_PEERS, "west"))?.status ?? {};
  await until("its status", async () => (await found()).state === "InSync");
  status = { state: PeerState.PEER_STATE_REFUSED, message: "refused" };
  peers.trigger();
  await until("it is refused", async () => (await found()).state === "Refused", 15_000);
  const { storeId, revision, headBeatAgeMs } = await found();
  assert.deepEqual([storeId, revision, headBeatAgeMs], [undefined, undefined, undefined]);
  const before = patches;
  for (let i = 0; i < 3; i++) {
    peers.trigger();
    await systemClock.delay(300);
  }
  assert.ok(patches - before <= 1, `${patches - before} writes`);
});
