/**
 * Dials the endpoints of a store from this cluster's side: reachable or why not, and the round trip.
 *
 * Whoever calls this makes the process connect somewhere. So: https alone, a CA that the other side must prove, few endpoints
 * and calls at once. What the store thinks of our certificate is not asked.
 */
import type { SecureContext } from "node:tls";
import { status } from "@grpc/grpc-js";
import type { CheckStoreRequest, StoreEndpointReport } from "@isthmus/proto";
import { adminError } from "./admin-error.js";
import { dialStore, trusting } from "./dial-store.js";

export interface StoreChecker {
  /** Rejects with an `ADMIN` error when the request is not one that is served. */
  check(request: CheckStoreRequest): Promise<StoreEndpointReport[]>;
}

const DEADLINE_MS = 3000;
const MAX_ENDPOINTS = 16;
const MAX_CALLS = 4;

export function createStoreChecker(options: { readonly deadlineMs?: number } = {}): StoreChecker {
  let calls = 0;
  return {
    async check({ endpoints, ca }) {
      if (endpoints.length > MAX_ENDPOINTS)
        throw refused(`${endpoints.length} endpoints are too many, name at most ${MAX_ENDPOINTS}`);
      if (ca === "") throw refused("no CA is given, the store must prove itself");
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
