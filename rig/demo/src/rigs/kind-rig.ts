/**
 * The rig of deploy/kind: parts are processes in node containers, controlled through the container engine and the clusters' APIs,
 * as an operator would. deploy/kind/demo.sh sets the environment.
 */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DEPLOYMENTS, type KubeClient, type KubeObject, NODES } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import { type MapView, openMapView } from "../drive/map-view.js";
import type { Part } from "../drive/world.js";
import { LONGEST_FAULT_MS } from "../faults/limits.js";
import { FAR, NEAR } from "../judge/judge.js";
import { runMeshCommand } from "../setup/mesh-command.js";
import type { Rig, RigControls } from "./rig.js";

const SCRIPTS = fileURLToPath(new URL("../../../../deploy/kind/", import.meta.url));
const MESH_NAMESPACE = "mesh-system";
/** Maximum output of one command. */
const MAX_OUTPUT = 16 * 1024 * 1024;
const APISERVER = "clustermesh-apiserver";
/** Command lines of the processes as in the manifests. */
const COMMANDS = {
  agent: "^node apps/node-agent/dist/main.js",
  apiserver: "^node apps/clustermesh-apiserver/dist/main.js",
};
/** Arguments: a signal, patterns of pods' uids. Signals the demo's programs in their control groups and prints the number. */
const SIGNAL_SERVERS = `n=0
for pid in $(pgrep -f ^/demo); do
  for uid in "$@"; do
    if grep -q "$uid" "/proc/$pid/cgroup" && kill -s "$0" "$pid"; then n=$((n + 1)); fi
  done
done
echo "$n"`;
/** For a demo that is killed while servers are suspended. */
const RESUME_LATER = `sleep ${LONGEST_FAULT_MS / 1000}\n${SIGNAL_SERVERS}`;

/** `env`: CONTAINER_CLI, KUBECONFIG, MESH_STORE, MESH_ETCD (the container of the store). Throws `UNFIT` if one is missing or without root. */
export function kindRig(env: Readonly<Record<string, string | undefined>>): Rig {
  const of = (name: string) => {
    const value = env[name];
    if (value) return value;
    throw new MeshError({ code: "UNFIT" }, `Cannot go on without ${name}: run deploy/kind/demo.sh, which sets it`);
  };
  if (process.getuid?.() !== 0) {
    throw new MeshError({ code: "UNFIT" }, "Cannot read the BPF maps of kind's nodes: run this as root (sudo -E)");
  }
  const cli = of("CONTAINER_CLI");
  const engine: Engine = {
    etcd: of("MESH_ETCD"),
    run: async (...args) => (await promisify(execFile)(cli, args, { maxBuffer: MAX_OUTPUT })).stdout.trim(),
  };
  const [kubeconfig, storeFile] = [of("KUBECONFIG"), of("MESH_STORE")];
  const rig = {
    name: "the clusters of deploy/kind",
    clusters: [NEAR, FAR],
    kubeconfig,
    storeFile,
    env: {},
    alternative: "",
    useFile: join(dirname(kubeconfig), "demo.json"),
    saveLogs: (folder: string) => saveLogs(engine, folder),
  };
  const connect = () => runMeshCommand(rig, ["connect", NEAR, FAR], () => undefined, AbortSignal.timeout(60_000));
  return {
    ...rig,
    controls: async (clientNode, clientOf) =>
      createKindControls({
        ...engine,
        clientOf,
        connect,
        clientNode,
        maps: openMapView(await pinsOf(engine.run, clientNode)),
      }),
  };
}

export interface Engine {
  /** The store's container. */
  readonly etcd: string;
  /** Runs a command of the container engine and returns its output. */
  readonly run: (...args: readonly string[]) => Promise<string>;
}

export interface KindControlsOptions extends Engine {
  readonly clientNode: string;
  readonly clientOf: (cluster: string) => KubeClient;
  /** Runs `mesh connect` for all clusters. */
  readonly connect: () => Promise<void>;
  readonly maps: MapView;
}

export async function createKindControls(options: KindControlsOptions): Promise<RigControls> {
  const { etcd, run, clientNode, clientOf, connect, maps } = options;
  const inStore = (verb: string) => run("exec", etcd, "store", verb);
  const pids = async (node: string, command: string) => {
    const text = await run("exec", node, "sh", "-c", 'pgrep -f "$0" || true', command);
    return text.split("\n").filter(Boolean).map(Number);
  };
  const near = clientOf(NEAR);
  const nodes = new Map(
    await Promise.all([NEAR, FAR].map(async (name) => [name, await clientOf(name).list<KubeNode>(NODES)] as const)),
  );
  const namesOf = (cluster: string) => (nodes.get(cluster) ?? []).map((node) => node.metadata.name ?? "");
  /** Runs a script on every node of a cluster, with a signal and the pods' patterns as arguments. */
  const atNodes = async (
    cluster: string,
    podUids: readonly string[],
    flags: readonly string[],
    script: string,
    signal: string,
  ) => {
    // The name of a systemd slice has "_" where a uid has "-".
    const patterns = podUids.map((uid) => uid.replaceAll("-", "[-_]"));
    const nodesToAsk = patterns.length === 0 ? [] : namesOf(cluster);
    return Promise.all(nodesToAsk.map((node) => run("exec", ...flags, node, "sh", "-c", script, signal, ...patterns)));
  };
  const signalServers = async (cluster: string, podUids: readonly string[], signal: string) => {
    const counts = await atNodes(cluster, podUids, [], SIGNAL_SERVERS, signal);
    return counts.reduce((sum, count) => sum + Number(count), 0);
  };
  const scaleApiserver = (replicas: number) =>
    near.mergePatch(DEPLOYMENTS, APISERVER, { spec: { replicas } }, { namespace: MESH_NAMESPACE });
  return {
    agentPid: async () => (await pids(clientNode, COMMANDS.agent))[0] ?? null,
    killAgent: async () => void (await run("exec", clientNode, "pkill", "-KILL", "-f", COMMANDS.agent)),
    async holdDown(part) {
      if (part === "mesh-etcd") return void (await inStore("hold"));
      // The kubelet restarts a container that exited, but not in a pod that is being deleted; SIGKILL is faster than its SIGTERM.
      await scaleApiserver(0);
      await Promise.all(
        namesOf(NEAR).map((node) => run("exec", node, "sh", "-c", 'pkill -KILL -f "$0" || true', COMMANDS.apiserver)),
      );
    },
    start: async (part) => void (await (part === "mesh-etcd" ? inStore("start") : scaleApiserver(1))),
    async addresses(part: Part) {
      if (part === "mesh-etcd") return [{ host: await addressOf(run, etcd), port: 2379 }];
      // The next pod may run on another node.
      return (nodes.get(NEAR) ?? []).map((node) => ({ host: internalAddress(node), port: 7443 }));
    },
    async wipeStore() {
      await inStore("wipe");
      // As an operator would: restore the store's own users first, then those of the clusters.
      await promisify(execFile)(join(SCRIPTS, "start-store.sh"));
      await connect();
    },
    killServers: (cluster, podUids) => signalServers(cluster, podUids, "KILL"),
    async suspendServers(cluster, podUids) {
      await atNodes(cluster, podUids, ["--detach"], RESUME_LATER, "CONT");
      const count = await signalServers(cluster, podUids, "STOP");
      return { count, end: async () => void (await signalServers(cluster, podUids, "CONT")) };
    },
    async startFault(fault) {
      throw new Error(`Cannot put "${fault.kind}" in force on kind: only a lab has such faults`);
    },
    maps,
  };
}

interface KubeNode extends KubeObject {
  readonly status?: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] };
}

function internalAddress({ metadata, status }: KubeNode): string {
  const found = status?.addresses?.find(({ type, address }) => type === "InternalIP" && !address.includes(":"));
  if (found === undefined) throw new Error(`Cannot find the address of node "${metadata.name}"`);
  return found.address;
}

function addressOf(run: Engine["run"], container: string): Promise<string> {
  return run("inspect", "--format", '{{with index .NetworkSettings.Networks "kind"}}{{.IPAddress}}{{end}}', container);
}

/** The node's folder in bpffs, as this process sees it. */
async function pinsOf(run: Engine["run"], node: string): Promise<string> {
  const pid = await run("inspect", "--format", "{{.State.Pid}}", node);
  return `/proc/${pid}/root/sys/fs/bpf/isthmus`;
}

async function saveLogs({ etcd, run }: Engine, folder: string): Promise<void> {
  for (const cluster of [NEAR, FAR]) {
    await mkdir(join(folder, cluster), { recursive: true });
    // It writes what it can, but fails if one part fails, such as the list of images of a node without crictl.
    await promisify(execFile)("kind", ["export", "logs", "--name", `isthmus-${cluster}`, join(folder, cluster)]).catch(
      () => undefined,
    );
  }
  await writeFile(join(folder, "mesh-etcd.log"), await run("logs", etcd));
}
