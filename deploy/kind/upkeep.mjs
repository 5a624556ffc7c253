/**
 * Runs maintenance of the mesh's workloads and of nodes, under 100 new connections a second from a client in east.
 *
 * Environment: KUBECONFIG, MESH_STORE, CONTAINER_CLI (upkeep.sh). Exit code 0 when no request was lost, 1 otherwise.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createSampleLog } from "../../rig/demo/dist/samples/log.js";
import { clientPod } from "../../rig/demo/dist/setup/objects.js";

const CLUSTERS = ["east", "west"];
const [NEAR] = CLUSTERS;
const STAYS = "isthmus-east-control-plane";
const LEAVES = "isthmus-east-worker";
const IMAGE = "lab.isthmus.io/demo:1";
const RATE = 100;
/** Longer than the demo's backends answer after SIGTERM (5 s), as when an image must be pulled. */
const SLOW_START_MS = 6000;
const MESH = fileURLToPath(new URL("../../apps/mesh/bin/mesh.js", import.meta.url));

const run = async (program, ...args) => (await promisify(execFile)(program, args)).stdout.trim();
const kubectl = (cluster, ...args) => run("kubectl", "--context", cluster, ...args);
const inShop = (...args) => kubectl(NEAR, "-n", "shop", ...args);

const STEPS = [
  { text: "agents and apiservers of both clusters rolled out again", act: rollOut },
  { text: `the apiserver of ${NEAR} and the backends rolled out, the former starting slowly`, act: replaceSlowly },
  { text: "none left in east, all served by west", act: () => scale(0), after: "west" },
  { text: "three in east again", act: () => scale(3), after: "east" },
  { text: `the apiserver of ${NEAR} moved to ${LEAVES}`, act: moveApiserver },
  {
    text: `the apiserver and backends evicted: ${LEAVES} drained`,
    act: () => kubectl(NEAR, "drain", LEAVES, "--ignore-daemonsets", "--delete-emptydir-data", "--force"),
  },
  { text: `${LEAVES} deleted`, act: () => kubectl(NEAR, "delete", "node", LEAVES) },
  { text: `${LEAVES} registered again, with backends on it`, act: comeBack, after: "east" },
];

process.exitCode = await main().catch((error) => {
  console.error(error.message);
  return 1;
});

async function main() {
  await scale(3);
  const client = await startClient();
  let lost = 0;
  for (const { text, act, after } of STEPS) {
    const from = client.samples().length;
    const begun = performance.now();
    await act();
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    await client.quiet(after);
    const samples = client.samples().slice(from);
    const bad = samples.filter(({ outcome }) => outcome !== "ok");
    const causes = [...new Set(bad.map(({ outcome }) => outcome))].join(", ");
    console.log(
      `${text}: ${seconds} s, ${samples.length} sent, ${bad.length} lost${bad.length > 0 ? ` (${causes})` : ""}`,
    );
    lost += bad.length;
  }
  await client.stop();
  await startSlowly([]);
  return lost === 0 ? 0 : 1;
}

/** Restarts the workloads of both clusters. An apiserver of east starts slowly from then on; no request may be lost meanwhile. */
async function rollOut() {
  const workloads = ["daemonset/node-agent", "deployment/clustermesh-apiserver"];
  const each = (act) => Promise.all(CLUSTERS.map(act));
  await each((cluster) => kubectl(cluster, "-n", "mesh-system", "rollout", "restart", ...workloads));
  for (const workload of workloads) {
    await each((cluster) => kubectl(cluster, "-n", "mesh-system", "rollout", "status", workload, "--timeout=120s"));
  }
  await run(process.execPath, MESH, "status", "--wait", "--timeout", "60s");
}

/** Backends that end while the new apiserver starts must leave the maps by the old one. It starts slowly from now on. */
async function replaceSlowly() {
  const command = ["node", "-e", `setTimeout(() => {}, ${SLOW_START_MS})`];
  await startSlowly([{ name: "slow", image: "lab.isthmus.io/mesh:dev", command }]);
  await inShop("rollout", "restart", "deployment/web");
  await inShop("rollout", "status", "deployment/web", "--timeout=120s");
  await kubectl(NEAR, "-n", "mesh-system", "rollout", "status", "deployment/clustermesh-apiserver", "--timeout=120s");
  await run(process.execPath, MESH, "status", "--wait", "--timeout", "60s");
}

/** Replaces the init containers of east's apiserver. */
async function startSlowly(initContainers) {
  const patch = JSON.stringify([{ op: "add", path: "/spec/template/spec/initContainers", value: initContainers }]);
  await kubectl(
    NEAR,
    "-n",
    "mesh-system",
    "patch",
    "deployment/clustermesh-apiserver",
    "--type=json",
    "--patch",
    patch,
  );
}

/** Moves east's apiserver to the node that is drained, so that the drain evicts it together with backends. */
async function moveApiserver() {
  const label = "app.kubernetes.io/name=clustermesh-apiserver";
  const inMesh = (...args) => kubectl(NEAR, "-n", "mesh-system", ...args);
  await kubectl(NEAR, "cordon", STAYS);
  await inMesh("delete", "pod", "-l", label, "--field-selector", `spec.nodeName=${STAYS}`, "--wait=false");
  await inMesh("rollout", "status", "deployment/clustermesh-apiserver", "--timeout=120s");
  await kubectl(NEAR, "uncordon", STAYS);
  await run(process.execPath, MESH, "status", "--wait", "--timeout", "60s");
  const { items } = JSON.parse(await inMesh("get", "pods", "-l", label, "-o", "json"));
  const nodes = items.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ spec }) => spec.nodeName);
  if (nodes.join() !== LEAVES) throw new Error(`Cannot judge: the apiserver runs on ${nodes.join(", ") || "no node"}`);
}

async function scale(replicas) {
  await inShop("scale", "deployment/web", `--replicas=${replicas}`);
  await inShop("rollout", "status", "deployment/web", "--timeout=120s");
}

/** Restarts the kubelet of the deleted node, which registers the node again. */
async function comeBack() {
  await run(process.env.CONTAINER_CLI, "exec", LEAVES, "systemctl", "restart", "kubelet");
  await kubectl(NEAR, "wait", "--for=create", `node/${LEAVES}`, "--timeout=60s");
  await kubectl(NEAR, "wait", "--for=condition=Ready", `node/${LEAVES}`, "--timeout=120s");
  await run(process.execPath, MESH, "status", "--wait", "--timeout", "60s");
  await scale(6);
  const nodes = await inShop("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}");
  if (!nodes.split(" ").includes(LEAVES)) throw new Error(`Cannot judge: no backend runs on ${LEAVES}`);
}

/** Starts the client on the node that is not drained, so that its own end is not counted as a loss. */
async function startClient() {
  const target = `${await inShop("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")}:80`;
  const pod = clientPod(IMAGE, target, RATE);
  pod.spec.nodeName = STAYS;
  // All pods of east must fit on this node while the other one is drained.
  delete pod.spec.containers[0].resources;
  await inShop("delete", "pod", pod.metadata.name, "--ignore-not-found");
  execFileSync("kubectl", ["--context", NEAR, "create", "-f", "-"], {
    input: JSON.stringify({ apiVersion: "v1", kind: "Pod", ...pod }),
  });
  await inShop("wait", "--for=condition=Ready", `pod/${pod.metadata.name}`, "--timeout=60s");
  const log = createSampleLog();
  const follow = spawn("kubectl", ["--context", NEAR, "-n", "shop", "logs", "-f", pod.metadata.name]);
  const ended = new Promise((resolve) => follow.once("close", resolve));
  createInterface({ input: follow.stdout }).on("line", (line) => line.startsWith("{") && log.line(line));
  return {
    samples: () => log.samples(),
    /** Waits up to 30 s until two seconds of requests sent from now on are answered, only by `cluster` if given. */
    async quiet(cluster) {
      const from = log.samples().length + RATE;
      for (let tries = 0; tries < 300; tries += 1) {
        const last = log
          .samples()
          .slice(from)
          .slice(-2 * RATE);
        if (last.length === 2 * RATE && (!cluster || last.every((sample) => sample.cluster === cluster))) return;
        await delay(100);
      }
      throw new Error(
        `Timed out after 30 s waiting for two seconds of answers${cluster ? ` by ${cluster} alone` : ""}`,
      );
    },
    async stop() {
      await inShop("delete", "pod", pod.metadata.name);
      await ended;
    },
  };
}
