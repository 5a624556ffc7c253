/**
 * Reads `toServices` of Cilium policies.
 *
 * A Service with a selector means the pods of its namespace that it selects. One without a selector means the addresses of its
 * EndpointSlices, as ranges do: no pods and no nodes. A Service that does not exist means nobody.
 */
import { isPodLabelOfIdentity, NAMESPACE_LABEL } from "@isthmus/identity";
import type { Peer } from "../model/policy.js";
import { createSelector, type Requirement } from "../model/selector.js";
import { reservedSelector } from "./cilium-entities.js";
import { type CiliumScope, localCluster } from "./cilium-selector.js";
import { describe, joinPath, type Reader } from "./findings.js";
import { readAddressOrCidr } from "./ip-block.js";
import { isLabelKey, isLabelValue } from "./label-selector.js";
import { MAX_SERVICES, RANGE_ITEMS } from "./limits.js";
import { type PolicyService, readServiceQuery } from "./service-query.js";

/** Peers of the element at `path`. */
export function readServices(reader: Reader, value: unknown, path: string, scope: CiliumScope): readonly Peer[] {
  const query = readServiceQuery(reader, value, path);
  if (query === undefined) return [];
  const at = joinPath(path, query.name === undefined ? "k8sServiceSelector" : "k8sService");
  const { services, budget } = scope;
  if (services.size > MAX_SERVICES) {
    reader.refuse(at, `means, with the others of the policy, more than ${MAX_SERVICES} Services: select fewer`);
    return [];
  }
  return services.find(query).flatMap((service) => {
    const isPods = service.selector.length > 0;
    if (!budget.take(reader, at, isPods ? 3 + service.selector.length : RANGE_ITEMS * service.addresses.length))
      return [];
    return isPods ? [podPeer(reader, service, at, scope)] : addressPeers(reader, service, at);
  });
}

function addressPeers(reader: Reader, { addresses }: PolicyService, path: string): readonly Peer[] {
  const selector = reservedSelector("world");
  return addresses.flatMap((address): readonly Peer[] => {
    const block = readAddressOrCidr(reader, address, path);
    return block === undefined ? [] : [{ kind: "block", block, selector }];
  });
}

/** Namespace and cluster are not for the Service to choose. */
function podPeer(reader: Reader, service: PolicyService, path: string, scope: CiliumScope): Peer {
  const { namespace, name, selector } = service;
  const labels = selector.map(({ key, value }): Requirement => {
    const fault = selectorFault(key, value);
    if (fault !== undefined)
      reader.refuse(
        path,
        `means the Service ${describe(`${namespace}/${name}`)}, which selects pods by ${describe(key)}, and that ${fault}: select its pods by toEndpoints`,
      );
    return { key, operator: "In", values: [value] };
  });
  const its: Requirement = { key: NAMESPACE_LABEL, operator: "In", values: [namespace] };
  return { kind: "labels", selector: createSelector([...labels, its, ...localCluster(scope)]) };
}

function selectorFault(key: string, value: string): string | undefined {
  if (!isLabelKey(key) || !isLabelValue(value)) return "is no label of a pod";
  return isPodLabelOfIdentity(key) ? undefined : "is no part of identities";
}
