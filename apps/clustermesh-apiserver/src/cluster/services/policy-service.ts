/** A Service with its slices → what policies need of it (pure). */
import { formatAddress, type ServiceName } from "@isthmus/model";
import { MAX_ITEMS, type PolicyService } from "@isthmus/policy";
import { Slice } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import type { ServiceFacts } from "./service-facts.js";

/** What policies mean by a name or by labels. */
export interface ServiceJoin {
  /** A new Service, or another state of one. */
  setService(service: PolicyService): void;
  /** It means nobody any more. */
  deleteService(name: ServiceName): void;
}

/** Of a Service and its SLICE records. Endpoints count whether they are ready or not. */
export function policyService(
  { service, labels, selector }: ServiceFacts,
  slices: Iterable<HashedRecord>,
): PolicyService {
  const [namespace = "", name = ""] = service.split("/");
  return { namespace, name, labels, selector, addresses: selector.length > 0 ? [] : addressesOf(slices) };
}

/** Sorted; at most one more than the peers that a policy may have. */
function addressesOf(slices: Iterable<HashedRecord>): readonly string[] {
  const addresses = new Set<string>();
  for (const { value } of slices)
    for (const { address } of Slice.decode(value).backends) addresses.add(formatAddress(address));
  return [...addresses].sort().slice(0, MAX_ITEMS + 1);
}
