/** The ClusterIPs that a Service's configuration leaves to another proxy; ignores values that are no address. Pure. */
import type { ServiceConfig } from "@isthmus/proto";

const ADDRESS_BYTES = 16;

export function otherProxyAddresses(config: Pick<ServiceConfig, "leftFrontends"> | undefined): readonly Uint8Array[] {
  return (config?.leftFrontends ?? []).filter(({ length }) => length === ADDRESS_BYTES);
}
