/**
 * Makes one TLS handshake with an endpoint of a store. Returns undefined when its certificate is of the CA, else the reason.
 *
 * The reason is one of the sentences below and never contains data from the endpoint. One deadline covers name resolution,
 * connection and handshake.
 */
import { X509Certificate } from "node:crypto";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";

export type DialFailure = { readonly kind: "address" | "network" | "certificate" | "protocol"; readonly why: string };

const MAX_CA_BYTES = 64 << 10;

/** A TLS context that trusts only this CA; undefined when it is not a certificate in PEM. */
export function trusting(ca: string): SecureContext | undefined {
  try {
    if (ca.length > MAX_CA_BYTES) return undefined;
    new X509Certificate(ca);
    return createSecureContext({ ca });
  } catch {
    return undefined;
  }
}

/** `endpoint`: https URL, port 443 unless it has one. `ms`: the deadline. The connection is closed again. */
export function dialStore(
  endpoint: string,
  secureContext: SecureContext,
  ms: number,
): Promise<DialFailure | undefined> {
  const address = hostAndPort(endpoint);
  if (address === undefined)
    return Promise.resolve({ kind: "address", why: 'it is not written like "https://10.0.0.1:2379"' });
  return new Promise((resolve) => {
    const end = (failure?: DialFailure) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => end({ kind: "network", why: `no answer within ${ms} ms` }), ms);
    const socket: TLSSocket = connect({ ...address, secureContext }, () => end());
    socket.on("error", (error) => end(explainFailure(error)));
  });
}

/** Accepts only an https URL with a host and optionally a port. */
function hostAndPort(endpoint: string): { host: string; port: number } | undefined {
  if (!URL.canParse(endpoint)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search } = new URL(endpoint);
  const plain = username === "" && password === "" && pathname === "/" && search === "";
  if (protocol !== "https:" || !plain) return undefined;
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 443) };
}

const FAILURES: readonly (readonly [RegExp, DialFailure["kind"], string])[] = [
  [/^ECONNREFUSED$/, "network", "connection refused"],
  [/^E(HOST|NET)UNREACH$/, "network", "there is no route to it"],
  [/^(ENOTFOUND|EAI_)/, "network", "its name does not resolve"],
  [/ALTNAME/, "certificate", "its certificate is not for this name"],
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, "certificate", "its certificate is not valid at this time"],
  [/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|^CERT_/, "certificate", "its certificate is not of the store's CA"],
];

/** A name with several addresses has one error for each: that of an address that answered is preferred to a network error. */
export function explainFailure(error: Error): DialFailure {
  const errors: Error[] = error instanceof AggregateError ? error.errors : [error];
  const failures = errors.map((each) => failure((each as NodeJS.ErrnoException).code ?? ""));
  return failures.find(({ kind }) => kind !== "network") ?? failures[0] ?? failure("");
}

function failure(code: string): DialFailure {
  const [, kind, why] = FAILURES.find(([text]) => text.test(code)) ?? [undefined, "protocol", "no TLS handshake"];
  return { kind, why } as DialFailure;
}
