/** Makes a service deliver its requests as bytes, so that caller and bounds are checked before a request is decoded. */
import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

export function undecoded(definition: ServiceDefinition): ServiceDefinition<UntypedServiceImplementation> {
  const methods = Object.entries(definition).map(([name, method]) => {
    return [name, { ...method, requestDeserialize: (bytes: Buffer): Buffer => bytes }] as const;
  });
  return Object.fromEntries(methods);
}
