/**
 * Dials the endpoints of a store from this cluster: reports whether each is reachable or why not, and the round-trip time.
 *
 * A caller makes this process connect to an address. Therefore only https is allowed, the server's certificate must be of the
 * given CA, and the numbers of endpoints and concurrent calls are limited. The client certificate is not tested.
 */
import type { SecureContext } from "node:tls";
import { status } from "@grpc/grpc-js";
import type { CheckStoreRequest, StoreEndpointReport } from "@isthmus/proto";
import { dialStore, trusting } from "../../store/dial-store.js";
import { adminError } from "./admin-error.js";

export interface StoreChecker {
  /** Rejects with an `ADMIN` error when the request is invalid, or too many checks run. */
  check(request: CheckStoreRequest): Promise<StoreEndpointReport[]>;
}

const DEADLINE_MS = 3000;
const MAX_ENDPOINTS = 16;
const MAX_CALLS = 4;

/** `deadlineMs`: for each endpoint, 3000 when absent. Concurrent calls are counted per checker. */
export function createStoreChecker(options: { readonly deadlineMs?: number } = {}): StoreChecker {
  let calls = 0;
  return {
    async check({ endpoints, ca }) {
      if (endpoints.length > MAX_ENDPOINTS)
        throw refused(`${endpoints.length} endpoints are too many, name at most ${MAX_ENDPOINTS}`);
      if (ca === "") throw refused("the request has no CA, which must verify the store's certificate");
      const context = trusting(ca);
      if (context === undefined) throw refused("the CA is not a certificate in PEM");
      if (calls >= MAX_CALLS) throw adminError(status.RESOURCE_EXHAUSTED, "other checks of a store run, try again");
      calls++;
      try {
        const ms = options.deadlineMs ?? DEADLINE_MS;
        return await Promise.all(endpoints.map((endpoint) => report(endpoint, context, ms)));
      } finally {
        calls--;
      }
    },
  };
}

async function report(endpoint: string, context: SecureContext, ms: number): Promise<StoreEndpointReport> {
  const started = performance.now();
  const failure = await dialStore(endpoint, context, ms);
  if (failure === undefined)
    return { endpoint, reachable: true, message: "", roundTripUs: Math.round((performance.now() - started) * 1000) };
  const message = `Cannot reach "${endpoint}" from here: ${failure.why}`;
  return { endpoint, reachable: false, message, roundTripUs: 0 };
}

function refused(why: string) {
  return adminError(status.INVALID_ARGUMENT, why);
}
