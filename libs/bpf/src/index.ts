export * from "./array-map.js";
export * from "./attach/device-links.js";
export type { DeviceProgram } from "./attach/device-mechanism.js";
export * from "./backend-id.js";
export * from "./check.js";
export * from "./datapath.js";
export type * from "./datapath-port.js";
export * from "./errors.js";
export { makeFloor, validFloor } from "./floor.js";
export {
  createBodyReader,
  createFlowLookup,
  createFlowReader,
  type Flow,
  type FlowTable,
  flowBodyCheck,
  flowRowCheck,
  flowTime,
  type OriginalDestination,
} from "./flows.js";
export * from "./gen/index.js";
export { createGracePeriod } from "./grace.js";
export * from "./hash-map.js";
export * from "./layout.js";
export * from "./link-settings.js";
export * from "./map-set.js";
export { readMetric } from "./metrics.js";
export { clientOf, type NatTuple, readNatRow } from "./nat.js";
export * from "./native.js";
export * as rtnetlink from "./netlink/index.js";
export type { NetlinkMessage, NetlinkRequest } from "./netlink/messages.js";
export {
  type Netlink,
  type NetlinkError,
  type NetlinkResult,
  type OpenNetlink,
  openNetlink,
  runAll,
  withNetlink,
} from "./netlink/netlink.js";
export { type EventCounts, openPacketEvents, type PacketEvents } from "./packet-events.js";
export type { PacketPath } from "./packet-path.js";
export * from "./policy-port.js";
export { type LoadedProgram, loadPrograms } from "./programs.js";
export * from "./rank.js";
export * from "./ring-events.js";
export * from "./route-events.js";
export type { ServiceMoves } from "./service-moves.js";
