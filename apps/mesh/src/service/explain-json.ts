/** The stable JSON of `mesh service explain` (pure). */
import { formatAddress, formatRescueAfter, fromRescueFields, protocolName } from "@isthmus/model";
import {
  type ExplainedBackend,
  type ExplainedCluster,
  type ExplainedFrontend,
  type ExplainedService,
  type ExplainServiceResponse,
  FrontendRowState,
  type FrontendRows,
  MonitorState,
} from "@isthmus/proto";
import { backendExclusions, peerStates, refusalReasons } from "@isthmus/records";
import { AFFINITIES, endpointText, isUsable, stateText } from "./explain-render.js";

/** Fields may be added; changing one needs another `schemaVersion`. `context`: of the pod's cluster. */
export function explainJson(answer: ExplainServiceResponse, context: string): object {
  const { service, pod, node, applied, clusters, frontends, frontendsLeftOut } = answer;
  return {
    context,
    usable: isUsable(answer),
    service: service === undefined ? null : serviceJson(service),
    pod:
      pod === undefined
        ? null
        : {
            ...{ namespace: pod.namespace, pod: pod.pod, node: pod.node, identity: pod.identity },
            addresses: pod.addresses.map((address) => formatAddress(address)),
            applied,
            mapsRead: node?.state === MonitorState.MONITOR_STATE_HEARD,
          },
    clusters: clusters.map(clusterJson),
    frontends: frontends.map(frontendJson),
    frontendsLeftOut,
  };
}

function serviceJson(service: ExplainedService): object {
  const { addresses, ports, global, shared, affinity, annotations, notes, left, otherProxy } = service;
  return {
    service: service.service,
    addresses: addresses.map((address) => formatAddress(address)),
    ports: ports.map(({ name, port, protocol }) => ({ name, port, protocol: protocolName(protocol) })),
    ...{ global, shared, affinity: AFFINITIES[affinity] ?? `unknown-${affinity}` },
    rescueAfter: formatRescueAfter(fromRescueFields(service)),
    annotations: Object.fromEntries(annotations.map(({ key, value }) => [key, value])),
    notes,
    otherProxy: left ? otherProxy : null,
  };
}

function clusterJson({ cluster, clusterId, peerState, message, exported, shared, refused }: ExplainedCluster): object {
  const refusals = refused.map(({ refusalReason, reason, count, example }) => {
    return { reason: refusalReasons.show(refusalReason, reason), count, example };
  });
  return { cluster, clusterId, state: peerStates.name(peerState), message, exported, shared, refused: refusals };
}

function frontendJson(frontend: ExplainedFrontend): object {
  const { address, port, protocol, portName, tiers, backends, backendsLeftOut, leftOut, problem, rows } = frontend;
  return {
    frontend: `${endpointText(address, port)}/${protocolName(protocol)}`,
    ...{ portName, tiers, problem: problem === "" ? null : problem },
    leftOut: leftOut.map(({ cluster, keptOut }) => ({ cluster, reason: keptOut })),
    backends: backends.map(backendJson),
    backendsLeftOut,
    maps: rows === undefined ? null : mapsJson(rows, frontend),
  };
}

function backendJson(backend: ExplainedBackend): object {
  const { cluster, address, port, protocol, namespace, pod, node, tier, slots, exclusion, reason, rows } = backend;
  return {
    used: exclusion === 0,
    tier: tier === 0 ? null : tier,
    ...{ slots, cluster, backend: `${endpointText(address, port)}/${protocolName(protocol)}` },
    pod: pod === "" ? null : `${namespace}/${pod}`,
    ...{ node, state: stateText(backend) },
    exclusion: exclusion === 0 ? null : { cause: backendExclusions.name(exclusion), reason },
    maps:
      rows === undefined
        ? null
        : {
            ...{ index: rows.index, generation: rows.generation, slots: rows.slots, node: rows.node },
            ...{ terminating: rows.terminating, rank: rows.rankName, ownRank: rows.ownRank },
            ...{ clusterState: rows.clusterState, nodeState: rows.nodeState },
          },
  };
}

function mapsJson(rows: FrontendRows, { differences }: ExplainedFrontend): object {
  const { service, generation, plannedFor, activeTier, problems, tiers, backendsLeftOut } = rows;
  return {
    row: (FrontendRowState[rows.state] ?? `unknown-${rows.state}`)
      .replace("FRONTEND_ROW_STATE_", "")
      .toLowerCase()
      .replaceAll("_", "-"),
    ...{ service, generation, rescueAfter: formatRescueAfter(fromRescueFields(rows)) },
    plannedFor: plannedFor === "" ? null : plannedFor,
    activeTier: activeTier === 0 ? null : activeTier,
    tiers: tiers.map(({ line, slots, tries, cluster, skipped, stale }) => {
      return { line, slots, tries, clusterId: cluster === 0 ? null : cluster, skipped, stale };
    }),
    ...{ agrees: differences.length === 0, differences, problems, backendsLeftOut },
  };
}
