/** The names of Services, by what pods dial: the desired frontends are the index, which is kept with every change. */
import type { DesiredState } from "../desired/services/desired-state.js";
import { frontendName } from "../desired/services/frontends.js";

/** The Service's name in Kubernetes. */
export interface ServiceReference {
  readonly namespace: string;
  readonly name: string;
}

export interface ServiceNames {
  /**
   * The Service that has this frontend now; undefined: none has, or the records of it are not there yet. `address`: 16 bytes.
   * `protocol`: of IP.
   */
  byFrontend(address: Uint8Array, port: number, protocol: number): ServiceReference | undefined;
}

/** Follows `desired`. */
export function createServiceNames(desired: Pick<DesiredState, "get">): ServiceNames {
  return {
    byFrontend(address, port, protocol) {
      const frontend = desired.get(frontendName(address, port, protocol));
      if (frontend?.kind !== "service") return undefined;
      const slash = frontend.service.indexOf("/");
      return { namespace: frontend.service.slice(0, slash), name: frontend.service.slice(slash + 1) };
    },
  };
}
