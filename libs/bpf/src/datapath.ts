/**
 * One node's datapath: attached programs, and pinned maps.
 *
 * All state is in the kernel and in the pin folder; this object only holds handles. If the agent is stopped or killed
 * at any point, the next `openDatapath` on the same folder adopts what exists: maps by name after a check of their
 * layout, links by name and cgroup. An agent owns everything in its pin folder, which it locks.
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Address } from "@isthmus/model";
import { createMappedArray } from "./array-map.js";
import { attachToCgroups, detachFromCgroups, switchCgroupLinks } from "./attach/cgroup-links.js";
import { detachFromDevices } from "./attach/device-links.js";
import { lockPinFolder, preparePinFolder } from "./bpffs.js";
import type { DatapathPort } from "./datapath-port.js";
import { readEnforcedPods } from "./enforced-pods.js";
import { DatapathConfig, MAP_NAMES } from "./gen/index.js";
import { createGracePeriod } from "./grace.js";
import { growMaps } from "./grow-maps.js";
import { createHashMap } from "./hash-map.js";
import { HELPER_SET_RETVAL, PROGRAM_TYPE_SOCK_ADDR } from "./kernel-constants.js";
import { type MapSizes, obsoletePins, sizesOf } from "./layout.js";
import { type MapSet, openMapSet } from "./map-set.js";
import { readMetrics } from "./metrics.js";
import { type Fd, native, type ProgramInfo } from "./native.js";
import { openPacketPath, type PacketPath, packetObjects } from "./packet-path.js";
import { loadPrograms } from "./programs.js";
import { createServiceRanges } from "./service-ranges.js";
import { openTables } from "./tables.js";

/** What a node's programs see: only what sockets dial, or the packets of pods too. */
export type DatapathMode = "sockets" | "packets";

export interface DatapathOptions {
  /** Folder in bpffs for this node's pins; created when it is missing. */
  readonly bpffs: string;
  /**
   * cgroup2 directory with this node's pods and nothing else; created when missing. If absent, `attach` must be called.
   */
  readonly cgroup?: string;
  /** Folder with the built objects (`bpf/build`). */
  readonly objectDir: string;
  /** Id of the local cluster: a constant of the programs until they are loaded again. */
  readonly config: { readonly clusterId: number };
  /** Entries of maps; a size that is absent is as the object declares it. See `MapSizes`. */
  readonly sizes?: Partial<MapSizes>;
  /** `sockets` by default: programs that an earlier mode left on devices of this network namespace are detached. */
  readonly mode?: DatapathMode;
  /**
   * Called in mode `sockets`, before anything changes, with the addresses of pods whose policies mode `packets` enforces: they are
   * not enforced any more afterwards. What it throws is thrown by `openDatapath`, and all stays as it is.
   */
  readonly confirmUnenforced?: (pods: readonly Address[]) => Promise<void> | void;
  /** Path of the node's network namespace, whose devices get the programs of mode `packets`; that of this process by default. */
  readonly netns?: string;
}

export interface Datapath extends DatapathPort {
  /** The errno of a connect to a Service without backends: EPERM before Linux 5.18. */
  readonly refusal: "ECONNREFUSED" | "EPERM";
  /** The programs as the kernel loaded them, by name. */
  readonly programs: ReadonlyMap<string, ProgramInfo>;
  /** The entries of the maps: at least those of the options, since maps of a running node do not shrink. */
  readonly sizes: Partial<MapSizes>;
  /** Undefined in mode `sockets`. */
  readonly packets: PacketPath | undefined;
  /** Counters by name, summed over the CPUs. */
  metrics(): ReadonlyMap<string, number>;
  /**
   * Attaches the programs where a link is missing or its cgroup was recreated: to the cgroup of the options, or from
   * now on to exactly these cgroups, none of which may be inside another. An empty list changes nothing. Throws as
   * `openDatapath`.
   */
  attach(cgroups?: readonly string[]): void;
  /** Closes all handles; programs, maps and pins stay. */
  close(): void;
  /** Detaches the programs, removes the pins, and closes. */
  destroy(): Promise<void>;
}

/**
 * Creates the datapath, or adopts an existing one. Rejects with `DATAPATH_LOCKED`, `MAP_LAYOUT`, `PROGRAM_LOAD` (with
 * the verifier's log), `PROGRAM_ATTACH`, `BPFFS` or `CGROUP`, or with what `confirmUnenforced` throws; pins that
 * were made before the error stay for the next attempt.
 */
export async function openDatapath(options: DatapathOptions): Promise<Datapath> {
  preparePinFolder(options.bpffs);
  const lock = lockPinFolder(options.bpffs);
  try {
    return await openLocked(options, lock);
  } catch (error) {
    lock.close();
    throw error;
  }
}

async function openLocked(options: DatapathOptions, lock: Fd): Promise<Datapath> {
  if (options.mode !== "packets") await confirmUnenforced(options);
  const netnsCookie = await native().netnsCookie(options.netns);
  const config = { clusterId: options.config.clusterId, flags: 0, netnsCookie };
  const object = join(options.objectDir, "sock.bpf.o");
  const forPackets = options.mode === "packets" ? packetObjects(options.objectDir) : undefined;
  const pinned = { pinFolder: options.bpffs, objects: [object, ...Object.values(forPackets ?? {})] };
  const grown = await growMaps({ ...pinned, sizes: options.sizes ?? {} });
  const maps = openMapSet({ ...pinned, sizes: grown.sizes });
  const rodata = { config: DatapathConfig.encode({ ...config, ...NO_FLOWS }) };
  const programs = [
    ...loadPrograms(maps, object, rodata),
    ...(forPackets === undefined ? [] : loadPrograms(maps, forPackets.sockets, rodata)),
  ];
  const arrays = mapArrays(maps);
  const tables = await openTables(maps.map(MAP_NAMES.tables), maps.innerSpec(MAP_NAMES.tables));
  let attached: readonly string[] = options.cgroup === undefined ? [] : [options.cgroup];
  function attach(cgroups = attached): void {
    attached = cgroups;
    attachToCgroups(programs, options.bpffs, cgroups);
  }
  // Programs on a map that was replaced would not see what is written from now on.
  switchCgroupLinks(programs, options.bpffs);
  const gracePeriod = createGracePeriod();
  await grown.finish(maps.map, gracePeriod);
  attach();
  const packets = forPackets === undefined ? undefined : openPacketPath(maps, forPackets.devices, config, options);
  if (packets === undefined) await leavePackets(options);
  for (const name of obsoletePins()) rmSync(join(options.bpffs, name), { force: true });

  function close(): void {
    tables.close();
    packets?.close();
    for (const array of Object.values(arrays)) array.close();
    maps.close();
    for (const { fd } of programs) fd.close();
    lock.close();
  }

  return {
    ...arrays,
    tables,
    frontends: createHashMap(MAP_NAMES.frontends, maps.map(MAP_NAMES.frontends)),
    serviceRanges: createServiceRanges(maps.map(MAP_NAMES.serviceRanges), maps.innerSpec(MAP_NAMES.serviceRanges)),
    gracePeriod,
    refusal: native().probeHelper(PROGRAM_TYPE_SOCK_ADDR, HELPER_SET_RETVAL) ? "ECONNREFUSED" : "EPERM",
    sizes: sizesOf((name) =>
      packets === undefined && PACKET_MAPS.includes(name) ? undefined : native().mapInfo(maps.map(name)).maxEntries,
    ),
    packets,
    programs: new Map([...programs, ...(packets?.programs ?? [])].map(({ name, info }) => [name, info])),
    metrics: () => readMetrics(maps.map(MAP_NAMES.metrics)),
    attach,
    close,
    destroy: async () => {
      await removePins(options.bpffs, options.netns);
      close();
    },
  };
}

async function confirmUnenforced({ bpffs, confirmUnenforced }: DatapathOptions): Promise<void> {
  const pods = confirmUnenforced === undefined ? [] : await readEnforcedPods(bpffs);
  if (pods.length > 0) await confirmUnenforced?.(pods);
}

/** Detaches what mode `packets` attached, and forgets its maps: pods and flows are read anew when it is chosen again. */
async function leavePackets({ bpffs, netns }: DatapathOptions): Promise<void> {
  const left = PACKET_MAPS.filter((name) => existsSync(join(bpffs, name)));
  if (left.length === 0) return;
  await detachFromDevices(bpffs, netns);
  for (const name of left) rmSync(join(bpffs, name));
}

/** The settings of flows, for programs that know none. */
const NO_FLOWS = { flowSeed: 0n, flowSets: 0n };

const PACKET_MAPS: readonly string[] = [
  MAP_NAMES.endpointIndex,
  MAP_NAMES.endpoints,
  MAP_NAMES.podRanges,
  MAP_NAMES.ipcache,
  MAP_NAMES.ipcachePrefixes,
  MAP_NAMES.policySets,
  MAP_NAMES.policyPeers,
  MAP_NAMES.policyPorts,
  MAP_NAMES.judgementScratch,
  MAP_NAMES.conntrack,
  MAP_NAMES.flowBodies,
  MAP_NAMES.nat,
  MAP_NAMES.natState,
  MAP_NAMES.syns,
  MAP_NAMES.moveScratch,
  MAP_NAMES.natScratch,
  MAP_NAMES.serviceMoves,
  MAP_NAMES.clock,
  MAP_NAMES.flowSeed,
  MAP_NAMES.fragments,
  MAP_NAMES.events,
  MAP_NAMES.eventSettings,
  MAP_NAMES.eventLimits,
];

function mapArrays(maps: MapSet) {
  const open = (name: string) => createMappedArray(name, maps.map(name));
  return {
    services: open(MAP_NAMES.services),
    backends: open(MAP_NAMES.backends),
    clusterState: open(MAP_NAMES.clusterState),
    nodeState: open(MAP_NAMES.nodeState),
    nodes: open(MAP_NAMES.nodes),
    floors: open(MAP_NAMES.floors),
  };
}

/**
 * Detaches the programs of a pin folder from cgroups and from devices in this network namespace, by default that of the
 * process, and removes the folder, whichever process made it. For uninstalling.
 */
export async function removePins(pinFolder: string, netns?: string): Promise<void> {
  detachFromCgroups(pinFolder);
  await detachFromDevices(pinFolder, netns);
  for (const name of readdirSync(pinFolder)) rmSync(join(pinFolder, name));
  rmdirSync(pinFolder);
}
