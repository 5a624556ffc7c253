/**
 * The shared etcd. An empty store is provisioned first, in a separate network namespace on a unix socket; only then does it listen
 * on its address.
 */
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "@isthmus/model";
import { flags } from "../cluster/control-plane.js";
import { waitFor } from "../host/wait.js";
import type { LabPaths } from "../plan/paths.js";
import type { LabPlan } from "../plan/plan.js";
import { cgroupOf, type LabContext } from "../supervise/context.js";
import { createManagedProcess, type ManagedProcessModules } from "../supervise/managed-process.js";
import type { ProcessSpec } from "../supervise/spec.js";
import { inNetwork } from "../supervise/wrap.js";
import { isHealthy, provision } from "./provision.js";
import { readStoreUsers } from "./users.js";

const PEER = "http://127.0.0.1:22380";

function common(bin: string, paths: LabPaths): string[] {
  return [
    join(bin, "etcd"),
    ...flags({
      name: "mesh",
      "data-dir": paths.store.data,
      "listen-peer-urls": PEER,
      "initial-advertise-peer-urls": PEER,
      "initial-cluster": `mesh=${PEER}`,
      "unsafe-no-fsync": "true",
      "log-level": "warn",
    }),
  ];
}

/** The command that serves the clusters: TLS with client certificates, on the underlay. */
export function openCommand(bin: string, plan: LabPlan, paths: LabPaths): string[] {
  const url = `https://${plan.underlay.storeAddress}:2379`;
  const at = (name: string) => join(paths.store.root, name);
  return [
    ...common(bin, paths),
    ...flags({
      "listen-client-urls": url,
      "advertise-client-urls": url,
      "client-cert-auth": "true",
      "trusted-ca-file": at("ca.crt"),
      "cert-file": at("server.crt"),
      "key-file": at("server.key"),
      "enable-grpc-gateway": "false",
    }),
  ];
}

/** The command for provisioning: only root on this machine can reach the socket. */
export function closedCommand(bin: string, paths: LabPaths): string[] {
  const listen = flags({
    "listen-client-urls": `unix://${paths.store.provisionSocket}`,
    "advertise-client-urls": "http://127.0.0.1:22379",
  });
  return [
    "unshare",
    "--net",
    "--",
    "sh",
    "-c",
    'ip link set lo up && exec "$@"',
    "sh",
    ...common(bin, paths),
    ...listen,
  ];
}

function marker(paths: LabPaths): string {
  return join(paths.store.root, "provisioned");
}

/** Deletes all data; the next start provisions again. The process must be stopped. */
export async function wipeStore(paths: LabPaths): Promise<void> {
  await rm(marker(paths), { force: true });
  await rm(paths.store.data, { recursive: true, force: true });
}

/** Provisions the store unless that is done. A partly provisioned store is deleted and provisioned again. */
async function prepareStore(
  open: ProcessSpec,
  bin: string,
  paths: LabPaths,
  modules: ManagedProcessModules,
): Promise<void> {
  if (existsSync(marker(paths))) return;
  await wipeStore(paths);
  await rm(paths.store.provisionSocket, { force: true });
  await mkdir(paths.store.root, { recursive: true, mode: 0o700 });
  const { prepare: _, started: __, ...rest } = open;
  const closed = createManagedProcess({ ...rest, command: () => closedCommand(bin, paths) }, modules);
  try {
    await closed.start();
    const socket = paths.store.provisionSocket;
    await waitFor("the shared etcd to start", () => isHealthy(socket), { timeoutMs: 20_000, signal: modules.signal });
    await provision(socket, await readStoreUsers(paths.store.users));
  } finally {
    await closed.stop();
  }
  await rm(paths.store.provisionSocket, { force: true });
  await writeFile(marker(paths), `${systemClock.wallMicros()}\n`);
}

/** The process on its real address; every start first provisions the store if necessary. */
export function meshEtcd(context: LabContext): ProcessSpec {
  const { plan, paths, inputs, modules } = context;
  const spec: ProcessSpec = {
    role: "mesh-etcd",
    log: join(paths.logs, "mesh-etcd.log"),
    cgroup: cgroupOf(plan, "mesh-etcd"),
    prepare: (signal) => prepareStore(spec, inputs.bin, paths, { ...modules, signal }),
    command: () => inNetwork(context.processes.pidOf("underlay"), openCommand(inputs.bin, plan, paths)),
    graceMs: 3_000,
  };
  return spec;
}
