/**
 * Dials the endpoints of a store from this cluster's side: reachable or why not, and the round trip.
 *
 * Whoever calls this makes the process connect somewhere. So: https alone, a CA that the other side must prove, few endpoints
 * and calls at once, one deadline over name, connection and handshake; and of a failure only a sentence of ours, never what
 * the other side said. What the store thinks of our certificate is not asked.
 */
import { X509Certificate } from "node:crypto";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { status } from "@grpc/grpc-js";
import type { CheckStoreRequest, StoreEndpointReport } from "@isthmus/proto";
import { adminError } from "./admin-error.js";

export interface StoreChecker {
  /** Rejects with an `ADMIN` error when the request is not one that is served. */
  check(request: CheckStoreRequest): Promise<StoreEndpointReport[]>;
}

const DEADLINE_MS = 3000;
const MAX_ENDPOINTS = 16;
const MAX_CALLS = 4;
const MAX_CA_BYTES = 64 << 10;

export function createStoreChecker(options: { readonly deadlineMs?: number } = {}): StoreChecker {
  let calls = 0;
  return {
    async check({ endpoints, ca }) {
      if (endpoints.length > MAX_ENDPOINTS)
        throw refused(`${endpoints.length} endpoints are too many, name at most ${MAX_ENDPOINTS}`);
      const context = trusting(ca);
      if (calls >= MAX_CALLS) throw adminError(status.RESOURCE_EXHAUSTED, "other checks of a store run, try again");
      calls++;
      try {
        return await Promise.all(
          endpoints.map((endpoint) => report(endpoint, context, options.deadlineMs ?? DEADLINE_MS)),
        );
      } finally {
        calls--;
      }
    },
  };
}

function trusting(ca: string): SecureContext {
  if (ca === "") throw refused("no CA is given, the store must prove itself");
  try {
    if (ca.length > MAX_CA_BYTES) throw new Error("too long");
    new X509Certificate(ca);
    return createSecureContext({ ca });
  } catch {
    throw refused("the CA is not a certificate in PEM");
  }
}

async function report(endpoint: string, context: SecureContext, ms: number): Promise<StoreEndpointReport> {
  const started = performance.now();
  const why = await dial(endpoint, context, ms);
  if (why !== undefined)
    return { endpoint, reachable: false, message: `Cannot reach "${endpoint}" from here: ${why}`, roundTripUs: 0 };
  return { endpoint, reachable: true, message: "", roundTripUs: Math.round((performance.now() - started) * 1000) };
}

/** Undefined: a TLS handshake that the CA proves. Else why not. */
function dial(endpoint: string, secureContext: SecureContext, ms: number): Promise<string | undefined> {
  const address = hostAndPort(endpoint);
  if (address === undefined) return Promise.resolve('it is not written like "https://10.0.0.1:2379"');
  return new Promise((resolve) => {
    const end = (why?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(() => end(`no answer within ${ms} ms`), ms);
    const socket: TLSSocket = connect({ ...address, secureContext }, () => end());
    socket.on("error", (error: NodeJS.ErrnoException) => end(sentence(error.code ?? "")));
  });
}

function hostAndPort(endpoint: string): { host: string; port: number } | undefined {
  if (!URL.canParse(endpoint)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search } = new URL(endpoint);
  const plain = username === "" && password === "" && pathname === "/" && search === "";
  if (protocol !== "https:" || !plain) return undefined;
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 443) };
}

const SENTENCES: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, "connection refused"],
  [/^E(HOST|NET)UNREACH$/, "there is no route to it"],
  [/^(ENOTFOUND|EAI_)/, "its name does not resolve"],
  [/ALTNAME/, "its certificate is not for this name"],
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, "its certificate is not valid at this time"],
  [/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|^CERT_/, "its certificate is not of the store's CA"],
];

function sentence(code: string): string {
  return SENTENCES.find(([text]) => text.test(code))?.[1] ?? "no TLS handshake";
}

function refused(why: string) {
  return adminError(status.INVALID_ARGUMENT, why);
}
