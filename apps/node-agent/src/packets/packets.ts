/**
 * Mode `packets`: keeps the programs on the devices of pods and on the uplinks, and their maps.
 *
 * ```
 *   CNI ADD ─► row of the pod ─► programs on its device ─► the pod gets its address
 *   links, addresses change ─► programs on the uplinks
 *   Node records ─► pod ranges
 *   connects are moved ─► their rows go when they ended
 * ```
 * A pod's row comes first: the programs drop what is of no pod. Everything outlives the agent, and the next one adopts
 * it.
 */
import { type OpenNetlink, type PacketPath, type RouteEvent, rtnetlink, withNetlink } from "@isthmus/bpf";
import { bytesKey, MeshError } from "@isthmus/model";
import type { MapFill } from "@isthmus/proto";
import type { NodeName } from "../desired/nodes/nodes.js";
import type { PodNames } from "../events/pod-names.js";
import type { NetworkChanges } from "../network/network-changes.js";
import { createPassLoop } from "../network/pass-loop.js";
import { deviceMacs, isHostDeviceName } from "../pods/device-name.js";
import type { PodAttachment, PodDevices } from "../pods/types.js";
import type { EndpointTable } from "./endpoint-table.js";
import { collectNatRows } from "./nat-rows.js";
import { createPodLinks } from "./pod-links.js";
import { openPodRanges, type PodRangesModules } from "./pod-ranges.js";

export interface PacketsModules extends Omit<PodRangesModules, "port"> {
  /** Of the datapath in mode `packets`. */
  readonly path: PacketPath;
  /** Rows of pods; its calls are this module's from now on. */
  readonly table: EndpointTable;
  /** Opens the node's network namespace, which is that of this process. */
  readonly openNetlink: OpenNetlink;
  /** Changes of links and addresses. */
  readonly changes: NetworkChanges;
  /** Gets the pods by device and address. */
  readonly names: Pick<PodNames, "set" | "delete">;
  /** The clock of the programs. */
  readonly monotonicNs: () => bigint;
}

export interface Packets {
  /** For the pods of this node: `adopt` once, before the first of the others. */
  readonly devices: PodDevices;
  /** The records of these nodes changed, or which sources are in sync. */
  update(names: Iterable<NodeName>): void;
  /** Entries in use of the maps of this mode; flows as counted less than `FLOWS_COUNTED_MS` ago, moved ones as last seen. */
  fill(): readonly MapFill[];
  /** For addresses whose rows are gone: resolves when what programs inserted for them is deleted, or the failure was reported. */
  forgetPods(): Promise<void>;
  /** Resolves when no program is being attached or detached but by calls of `devices`: after the abort, for good. */
  idle(): Promise<void>;
}

const FLOWS_COUNTED_MS = 10_000;

/** Attaches nothing before `devices.adopt`. Rejects with the error of a map. */
export async function startPackets(modules: PacketsModules): Promise<Packets> {
  const { path, table, openNetlink, changes, names, log, clock, signal } = modules;
  const ranges = await openPodRanges({ ...modules, port: path.podRanges });
  const nat = collectNatRows({ ...modules, pods: table.rows });
  const podLinks = createPodLinks({ links: path.links, programs: path.podPrograms, log, clock, signal });
  /** Devices of pods, and uplinks: the others have no programs. */
  const wanted = new Set<number>();
  /** Those of pods by name. */
  const indexes = new Map<string, number>();
  let uplinks: ReadonlySet<number> = new Set();
  /** Pods from before the start that have no programs of this process yet, by host device. */
  const pending = new Map<string, PodAttachment>();
  /** Nodes whose ranges wait for `adopt`: before it nothing may be of the mesh. */
  let early: Set<NodeName> | undefined = new Set();
  let last: Promise<unknown> = Promise.resolve();
  let flows: { readonly atMs: number; readonly fill: ReturnType<PacketPath["flowFill"]> } | undefined;

  /** The table's calls must not overlap. */
  function inTurn<T>(call: () => Promise<T>): Promise<T> {
    const next = last.then(call, call);
    last = next.catch(() => undefined);
    return next;
  }

  async function attach(pod: PodAttachment, link: rtnetlink.Link): Promise<void> {
    const { pod: mac, host: hostMac } = deviceMacs(pod.hostDevice);
    const before = indexes.get(pod.hostDevice);
    if (before !== undefined && before !== link.index) forget(before);
    indexes.set(pod.hostDevice, link.index);
    wanted.add(link.index);
    names.set(link.index, pod);
    for (const address of pod.addresses)
      await inTurn(() => table.put({ address, ifindex: link.index, mac, hostMac, netnsId: link.peerNetnsId }));
    await podLinks.attach(link.index);
  }

  async function attachAdopted(pod: PodAttachment): Promise<void> {
    const link = await withNetlink(openNetlink, undefined, (netlink) => rtnetlink.readLink(netlink, pod.hostDevice));
    if (link === undefined)
      throw new MeshError({ code: "DEVICE", device: pod.hostDevice }, `Cannot find device "${pod.hostDevice}"`);
    await attach(pod, link);
  }

  function forget(index: number): void {
    wanted.delete(index);
    podLinks.forget(index);
    names.delete(index);
  }

  function detach(pod: PodAttachment): void {
    pending.delete(pod.hostDevice);
    const index = indexes.get(pod.hostDevice);
    indexes.delete(pod.hostDevice);
    if (index !== undefined) forget(index);
    for (const address of pod.addresses)
      inTurn(() => table.remove(address, deviceMacs(pod.hostDevice).pod)).catch((error: unknown) =>
        log.warn("Cannot remove a pod's row, the next start does", { device: pod.hostDevice, error }),
      );
    // The pins of links on a device that is gone stay until they are looked at.
    void loop.trigger();
  }

  /** Every device with an IPv4 address that is not a pod's: packets of other nodes come and go there. */
  async function findUplinks(): Promise<ReadonlySet<number>> {
    return withNetlink(openNetlink, undefined, async (netlink) => {
      const found = new Set<number>();
      for (const { index, name, up, mac } of await rtnetlink.readLinks(netlink)) {
        if (!up || mac === "" || mac === NO_MAC || isHostDeviceName(name)) continue;
        if ((await rtnetlink.readIpv4Addresses(netlink, index)).length > 0) found.add(index);
      }
      return found;
    });
  }

  /** Uplinks before pods, so that answers find a program when the first packets go out. One failure stops no other. */
  async function pass(): Promise<string | undefined> {
    const problems: string[] = [];
    const attempt = async (work: Promise<void>): Promise<boolean> => {
      try {
        await work;
        return true;
      } catch (error) {
        problems.push(MeshError.from(error).message);
        return false;
      }
    };
    const found = await findUplinks();
    for (const index of uplinks) if (!found.has(index)) wanted.delete(index);
    uplinks = found;
    for (const index of found) {
      wanted.add(index);
      await attempt(path.links.attach(index, path.uplinkPrograms));
    }
    for (const [device, pod] of pending) if (await attempt(attachAdopted(pod))) pending.delete(device);
    // The set itself: a pod that comes meanwhile is in it before its programs are attached.
    if (pending.size === 0) await path.links.retain(wanted);
    const [problem] = problems;
    return problem;
  }

  const loop = createPassLoop({
    clock,
    signal,
    pass,
    failed: (reason) => log.warn("Cannot attach the programs of packets to some devices, retrying", { reason }),
  });

  return {
    fill() {
      const nowMs = clock.now();
      if (flows === undefined || nowMs - flows.atMs >= FLOWS_COUNTED_MS) flows = { atMs: nowMs, fill: path.flowFill() };
      return [
        { map: path.endpoints.name, used: table.used, capacity: path.endpoints.maxEntries - 1 },
        { map: path.podRanges.name, used: ranges.used, capacity: path.podRanges.maxEntries },
        { map: path.conntrack, ...flows.fill },
        { map: path.nat.name, used: nat.used, capacity: path.nat.maxEntries },
      ];
    },
    forgetPods: () => nat.runRound(),
    idle: async () => void (await Promise.all([loop.idle(), podLinks.idle()])),
    update(names) {
      if (early === undefined) ranges.update(names);
      else for (const name of names) early.add(name);
    },
    devices: {
      attach,
      detach,
      async adopt(pods) {
        await inTurn(() => table.retain(new Set(pods.flatMap(({ addresses }) => addresses.map(bytesKey)))));
        for (const pod of pods) pending.set(pod.hostDevice, pod);
        changes.subscribe((events) => {
          const concerned = events.some(concernsUplinks);
          if (concerned) void loop.trigger();
          return concerned;
        });
        await loop.trigger();
        const known = early ?? [];
        early = undefined;
        ranges.update(known);
      },
    },
  };
}

const NO_MAC = "00:00:00:00:00:00";

function concernsUplinks(event: RouteEvent): boolean {
  if (event.kind === "link") return !isHostDeviceName(event.name) && (event.turned || event.gone);
  return event.kind === "lost" || event.kind === "address";
}
