import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeClient } from "@isthmus/kube";
import { createKindControls, kindRig } from "./kind-rig.js";

const NODES: Readonly<Record<string, readonly object[]>> = {
  east: [
    { metadata: { name: "e-1" }, status: { addresses: [{ type: "InternalIP", address: "10.89.0.4" }] } },
    {
      metadata: { name: "e-2" },
      status: {
        addresses: [
          { type: "InternalIP", address: "fc00::5" },
          { type: "InternalIP", address: "10.89.0.5" },
        ],
      },
    },
  ],
  west: [{ metadata: { name: "w-1" }, status: { addresses: [{ type: "InternalIP", address: "10.89.0.6" }] } }],
};

/** `answers`: what the engine prints for a command that contains all the words of the key. */
async function controls(answers: Readonly<Record<string, string>> = {}) {
  const calls: string[] = [];
  const run = async (...args: readonly string[]) => {
    const text = args.join(" ");
    calls.push(text);
    return Object.entries(answers).find(([words]) => words.split(" ").every((word) => text.includes(word)))?.[1] ?? "";
  };
  const clientOf = (cluster: string) =>
    ({
      list: async () => NODES[cluster] ?? [],
      mergePatch: async (_: unknown, name: string, patch: object) =>
        void calls.push(`${cluster}: ${name} ${JSON.stringify(patch)}`),
    }) as unknown as KubeClient;
  const maps = { holds: () => false, moved: () => 0, close: () => undefined };
  const connect = async () => void calls.push("mesh connect");
  const made = await createKindControls({ etcd: "store", run, clientNode: "e-2", clientOf, connect, maps });
  return { controls: made, calls };
}

test("a missing setting of demo.sh is named in the error", () => {
  const env = { CONTAINER_CLI: "podman", KUBECONFIG: "/k", MESH_STORE: "/s" };
  assert.throws(() => kindRig(env), {
    code: "UNFIT",
    message: /^Cannot go on without MESH_ETCD: run deploy\/kind\/demo\.sh/,
  });
});

test("the agent is a process on the client's node", async () => {
  const { controls: of, calls } = await controls({ "exec e-2 pgrep node-agent": "535" });
  assert.equal(await of.agentPid(), 535);
  await of.killAgent();
  assert.match(calls.at(-1) ?? "", /^exec e-2 pkill -KILL -f .*node-agent/);
  assert.equal(await (await controls()).controls.agentPid(), null);
});

test("the apiserver is scaled to 0 before its process is killed, on whichever node of the near cluster it runs", async () => {
  const { controls: of, calls } = await controls();
  await of.holdDown("clustermesh-apiserver");
  assert.equal(calls[0], 'east: clustermesh-apiserver {"spec":{"replicas":0}}');
  assert.deepEqual(
    calls
      .slice(1)
      .map((call) => call.split(" ")[1])
      .sort(),
    ["e-1", "e-2"],
  );
  await of.start("clustermesh-apiserver");
  assert.equal(calls.at(-1), 'east: clustermesh-apiserver {"spec":{"replicas":1}}');
  const everywhere = [
    { host: "10.89.0.4", port: 7443 },
    { host: "10.89.0.5", port: 7443 },
  ];
  assert.deepEqual(await of.addresses("clustermesh-apiserver"), everywhere);
});

test("the store is held down and started in its container", async () => {
  const { controls: of, calls } = await controls({ "inspect store": "10.89.0.8" });
  await of.holdDown("mesh-etcd");
  await of.start("mesh-etcd");
  assert.deepEqual(calls, ["exec store store hold", "exec store store start"]);
  assert.deepEqual(await of.addresses("mesh-etcd"), [{ host: "10.89.0.8", port: 2379 }]);
});

test("servers are signalled by their pods' uids on every node of the cluster, with the cgroup names of either driver", async () => {
  const { controls: of, calls } = await controls({ "exec e-1": "1", "exec e-2": "2" });
  assert.equal(await of.killServers("east", ["a-b"]), 3);
  assert.ok(calls.every((call) => call.endsWith(" KILL a[-_]b")));
  assert.equal(await of.killServers("east", []), 0);
});

test("suspended servers are resumed by their nodes when the demo does not", async () => {
  const { controls: of, calls } = await controls({ "exec e-1 STOP": "1", "exec e-2 STOP": "2" });
  const suspension = await of.suspendServers("east", ["a-b"]);
  assert.equal(suspension.count, 3);
  assert.ok(
    calls.slice(0, 2).every((call) => /^exec --detach e-. sh -c sleep 60\n/.test(call) && call.includes(" CONT ")),
  );
  assert.ok(calls.slice(2).every((call) => call.endsWith(" STOP a[-_]b")));
  await suspension.end();
  assert.ok(calls.slice(4).every((call) => call.endsWith(" CONT a[-_]b")));
  assert.equal(calls.length, 6);
});
