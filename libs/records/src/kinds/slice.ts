import type { ServiceName } from "@isthmus/model";
import { type Backend, Kind, Slice } from "@isthmus/proto";
import { BOUNDS, checkList, checkNumber, checkPorts, checkText, type OutOfBounds } from "../bounds.js";
import { bytesText, numberText, portText, sorted } from "../canonical.js";
import { checkPodAddress, firstFinding } from "./claims.js";
import { defineKind } from "./record-kind.js";

/** Ports, backends by address, and the zones of each hint are sorted. */
export const SLICE_KIND = defineKind({
  kind: Kind.KIND_SLICE,
  segment: "slices",
  names: ["namespace", "service", "slice"],
  exported: true,
  meaning: "An EndpointSlice: backends with their conditions",
  parse(names) {
    const slash = names.lastIndexOf("/");
    return { kind: Kind.KIND_SLICE, service: names.slice(0, slash) as ServiceName, slice: names.slice(slash + 1) };
  },
  message: Slice,
  canonical(slice: Slice) {
    const backends = slice.backends.map((backend) => ({
      ...backend,
      forZones: sorted(backend.forZones, (zone) => zone),
    }));
    return { ...slice, ports: sorted(slice.ports, portText), backends: sorted(backends, backendText) };
  },
  bounds: (slice) => checkPorts(slice.ports) ?? checkList("backends", slice.backends, BOUNDS.backends, backendBounds),
  check: (_, { backends }, limits) => firstFinding(backends, ({ address }) => checkPodAddress(address, limits)),
});

/** Sorts by address; the other fields give backends with the same address a fixed order. */
const backendText = (backend: Backend): string =>
  `${bytesText(backend.address)}\0${numberText(backend.conditions)}\0${backend.podUid}\0${backend.node}\0${backend.hostname}\0${backend.zone}\0${numberText(backend.weight)}\0${backend.forZones.join(",")}`;

function backendBounds(backend: Backend): OutOfBounds {
  return (
    checkNumber("weight", backend.weight, BOUNDS.weight) ??
    checkText("node", backend.node, BOUNDS.objectName) ??
    checkText("zone", backend.zone, BOUNDS.labelValue) ??
    checkList("zones of a hint", backend.forZones, BOUNDS.forZones, (zone) =>
      checkText("zone of a hint", zone, BOUNDS.labelValue),
    ) ??
    checkText("hostname", backend.hostname, BOUNDS.label) ??
    checkText("pod uid", backend.podUid, BOUNDS.uid)
  );
}

/** Of an EndpointSlice; its Service comes first, so that a Service's slices are neighbours. */
export const sliceKey = (service: ServiceName, slice: string): string => `${SLICE_KIND.segment}/${service}/${slice}`;
