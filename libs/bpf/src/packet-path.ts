/**
 * The programs on a node's devices (pod.bpf.c), and the maps that the agent writes for them: the pods of this node, their
 * policies, the pod ranges of the mesh. A pod's device gets its programs when its row is there: they drop what is of no pod.
 */
import { join } from "node:path";
import type { ArrayPort, HashPort, SharedHashPort } from "@isthmus/reconcile";
import { createMappedArray } from "./array-map.js";
import { type DeviceLinks, openDeviceLinks } from "./attach/device-links.js";
import type { DeviceProgram } from "./attach/device-mechanism.js";
import type { PolicyPort } from "./datapath-port.js";
import { type FlowConfig, readFlowConfig } from "./flow-config.js";
import { countFlows, type FlowTable, flowCapacity } from "./flows.js";
import { DatapathConfig, MAP_NAMES } from "./gen/index.js";
import { createHashMap } from "./hash-map.js";
import type { MapSet } from "./map-set.js";
import { openPacketEvents, type PacketEvents } from "./packet-events.js";
import { openPolicyPort } from "./policy-port.js";
import { type LoadedProgram, loadPrograms } from "./programs.js";
import { readServiceMoves, type ServiceMoves } from "./service-moves.js";

export interface PacketPath {
  /** `struct endpoint_key` to the index of a row, a u32. */
  readonly endpointIndex: HashPort;
  /** `struct endpoint_row`, by index. */
  readonly endpoints: ArrayPort;
  /** `struct pod_range_key` to `struct pod_range_row`. */
  readonly podRanges: HashPort;
  /** Policies of pods, and identities. */
  readonly policy: PolicyPort;
  /** `struct flow_key` to `struct nat_row`: flows whose connect was moved. Programs insert, the agent deletes. */
  readonly nat: SharedHashPort;
  /** `struct nat_state_row`. */
  readonly natState: ArrayPort;
  /** What became of connects that a backend refused or did not answer, by Service. */
  serviceMoves(): readonly ServiceMoves[];
  /** Name of the map of flows. */
  readonly conntrack: string;
  /** Rows for flows: those in use, and all. Reads the whole table, which takes some milliseconds. */
  flowFill(): { readonly used: number; readonly capacity: number };
  /** The rows of flows, for showing them. */
  readonly flows: FlowTable;
  /** What the programs report of flows and drops. */
  readonly events: PacketEvents;
  /** Attaches programs to the devices of the node. */
  readonly links: DeviceLinks;
  /** For the node's side of a pod's veth. */
  readonly podPrograms: readonly DeviceProgram[];
  /** For a device that leads to other nodes. */
  readonly uplinkPrograms: readonly DeviceProgram[];
}

export interface OpenPacketPath extends PacketPath {
  /** The programs as the kernel loaded them. */
  readonly programs: readonly LoadedProgram[];
  /** Closes all handles; programs, maps and links stay. */
  close(): void;
}

/** The objects of mode `packets` in this folder: for devices, and for the sockets of pods. */
export function packetObjects(objectDir: string) {
  return { devices: join(objectDir, "pod.bpf.o"), sockets: join(objectDir, "tcp.bpf.o") };
}

export interface PacketPathOptions {
  /** Folder in bpffs for this node's pins. */
  readonly bpffs: string;
  /** Path of the devices' network namespace; that of the process by default. */
  readonly netns?: string;
}

/** Loads the programs onto the set's maps, with these settings; attaches nothing. Throws `PROGRAM_LOAD`. */
export function openPacketPath(
  maps: MapSet,
  object: string,
  config: Omit<DatapathConfig, keyof FlowConfig>,
  { bpffs, netns }: PacketPathOptions,
): OpenPacketPath {
  const flows = readFlowConfig(maps.map(MAP_NAMES.conntrack), maps.map(MAP_NAMES.flowSeed));
  const programs = loadPrograms(maps, object, { config: DatapathConfig.encode({ ...config, ...flows }) });
  const endpoints = createMappedArray(MAP_NAMES.endpoints, maps.map(MAP_NAMES.endpoints));
  const conntrack = createMappedArray(MAP_NAMES.conntrack, maps.map(MAP_NAMES.conntrack));
  const bodies = createMappedArray(MAP_NAMES.flowBodies, maps.map(MAP_NAMES.flowBodies));
  const natState = createMappedArray(MAP_NAMES.natState, maps.map(MAP_NAMES.natState));
  const policy = openPolicyPort(maps.map);
  const serviceMoves = createHashMap(MAP_NAMES.serviceMoves, maps.map(MAP_NAMES.serviceMoves));
  const events = openPacketEvents(maps.map);
  const program = (name: string, direction: DeviceProgram["direction"]): DeviceProgram => {
    const loaded = programs.find((each) => each.name === name);
    if (loaded === undefined) throw new Error(`Cannot find program "${name}" in ${object}`);
    return { ...loaded, direction };
  };
  return {
    programs,
    endpointIndex: createHashMap(MAP_NAMES.endpointIndex, maps.map(MAP_NAMES.endpointIndex)),
    endpoints,
    podRanges: createHashMap(MAP_NAMES.podRanges, maps.map(MAP_NAMES.podRanges)),
    policy,
    nat: createHashMap(MAP_NAMES.nat, maps.map(MAP_NAMES.nat)),
    natState,
    serviceMoves: () => readServiceMoves(serviceMoves),
    conntrack: MAP_NAMES.conntrack,
    flowFill: () => ({ used: countFlows(conntrack), capacity: flowCapacity(conntrack) }),
    flows: {
      ...{ read: conntrack.read, readBodies: bodies.read, maxEntries: conntrack.maxEntries, seed: flows.flowSeed },
    },
    events,
    links: openDeviceLinks({ pinFolder: bpffs, ...(netns === undefined ? {} : { netns }) }),
    podPrograms: [program("from_pod", "ingress"), program("to_pod", "egress")],
    uplinkPrograms: [program("from_network", "ingress"), program("to_network", "egress")],
    close() {
      endpoints.close();
      conntrack.close();
      bodies.close();
      natState.close();
      policy.close();
      events.close();
      for (const { fd } of programs) fd.close();
    },
  };
}
