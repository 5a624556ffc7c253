/**
 * Starts the pod network of this node, at the first start and after every restart of this process.
 *
 * Order: adopt the attachments in the kernel and the state file, install the plugin, listen, and only once the node's
 * pod CIDR is known write the configuration that makes the node ready. Runs in the node's network namespace.
 */
import { join } from "node:path";
import { formatPrefix, type Prefix, systemClock } from "@isthmus/model";
import { createDeferred, retry } from "@isthmus/runtime";
import { enableForwarding } from "../network/forwarding.js";
import { podCidrOf } from "./address-pool.js";
import { type Attachments, createAttachments } from "./attachments.js";
import { installPlugin, writeConfiguration } from "./cni-files.js";
import { startCniServer } from "./cni-server.js";
import { createFilterReconciler } from "./filter-reconciler.js";
import { createHealthAddress } from "./health-address.js";
import { createKeyLock, type KeyLock } from "./key-lock.js";
import { addressesByDevice, agentDevices, listDevices, uplinkMtu } from "./node-devices.js";
import { createPodCalls } from "./pod-calls.js";
import { deleteDevice } from "./pod-network.js";
import { createPodReconciler } from "./pod-reconciler.js";
import type { PodAttachment, Pods, PodsModules, PodsOptions } from "./types.js";

/** How long an ADD waits for the pod CIDR: after a restart it is soon known, and a runtime's next try is 10 s later. */
const CIDR_WAIT_MS = 3000;

/** Resolves when calls are answered. Rejects when the plugin cannot be installed or the socket cannot be opened. */
export async function startPods(options: PodsOptions, modules: PodsModules): Promise<Pods> {
  const { log, report, signal, openNetlink, devices } = modules;
  const down = (pod: PodAttachment) => {
    devices?.detach(pod);
    report.down(pod);
    health.podRemoved();
  };
  const attachments = createAttachments(options.stateDir, { log, report: { down } });
  const health = createHealthAddress({ log, clock: systemClock, signal, attachments, report: modules.health });
  const halfMade = await attachments.load({
    devices: await listDevices(),
    ownedDevices: await agentDevices(openNetlink),
    addresses: await addressesByDevice(openNetlink),
  });
  for (const device of halfMade) await deleteDevice(openNetlink, device);
  for (const pod of attachments.list()) report.up(pod);
  await attachments.save();
  await enableForwarding();
  await devices?.adopt(attachments.list());

  const lock = createKeyLock();
  const lookAtAll = keepAll(modules, attachments, lock);
  const cidr = createDeferred<Prefix>();
  const calls = createPodCalls(
    { nodeRoot: options.nodeRoot, mtu: await uplinkMtu(openNetlink) },
    {
      log,
      attachments,
      lock,
      report,
      openNetlink,
      requirePrograms: modules.programs,
      enforced: modules.enforced,
      devices,
      cidr: () => cidr.get(CIDR_WAIT_MS),
    },
  );
  await installPlugin(options);
  const server = await startCniServer(join(options.nodeRoot, options.socketPath), { log, calls, signal });
  modules.nodeConfig.subscribe((podCidrs) => {
    const known = podCidrOf(podCidrs);
    if (known === undefined) return;
    void health.setCidr(known);
    cidr.set(known);
    log.info("Pod CIDR known, pods get addresses", { podCidr: formatPrefix(known) });
    void announce(options, modules);
  }, signal);
  await lookAtAll();
  const socket = options.socketPath;
  log.info("CNI server started", {
    socket,
    podsAdopted: attachments.list().length,
    halfMadeRemoved: halfMade.length,
  });
  return { list: () => attachments.list(), closed: server.closed };
}

/** Keeps the pods' devices, routes and settings when the network changes; returns a function that checks everything. */
function keepAll(modules: PodsModules, attachments: Attachments, lock: KeyLock): () => Promise<void> {
  const { log, signal, changes, condition, openNetlink } = modules;
  const pods = createPodReconciler({ log, clock: systemClock, signal, openNetlink, attachments, lock });
  const report = (problem: string | undefined) => condition("PodSourcesChecked", problem);
  const filters = createFilterReconciler({ log, clock: systemClock, signal, attachments, report });
  for (const { onEvents } of [pods, filters]) changes.subscribe(onEvents);
  return async () => void (await Promise.all([pods.trigger(), filters.trigger()]));
}

/** Writes the CNI configuration. The node is not ready without it, so failures are retried until this process ends. */
async function announce(options: PodsOptions, { log, signal }: PodsModules): Promise<void> {
  const onFailure = (error: unknown) =>
    log.error("Cannot write the CNI configuration, node stays NotReady, retrying", {
      directory: options.cniConfDir,
      error,
    });
  const modules = { clock: systemClock, signal };
  await retry(() => writeConfiguration(options), { minMs: 200, maxMs: 10_000, onFailure }, modules).catch(
    () => undefined, // this process ends
  );
}
