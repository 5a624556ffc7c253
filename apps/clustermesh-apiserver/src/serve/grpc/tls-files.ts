/**
 * The server's certificate, key and CA from a folder, read again when they change.
 *
 * A pair that does not match or cannot be read is logged and not used; the current one stays in use.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import type { experimental } from "@grpc/grpc-js";
import { MeshError } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";

export interface TlsFiles extends experimental.CertificateProvider {
  /** The certificate in use, as PEM. */
  readonly certificate: string;
  /** The CA in use, as PEM. */
  readonly ca: string;
  /** Stops reading; the current certificates stay in use. */
  close(): void;
}

interface Loaded {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}

const EVERY_MS = 2000;

/** Throws `TLS_FILES` when the first read fails. */
export function watchTlsFiles(folder: string, log: Logger): TlsFiles {
  // Not emitters: grpc-js removes its listeners by their identity.
  const caListeners = new Set<experimental.CaCertificateUpdateListener>();
  const identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  let current = load(folder);
  let lastProblem = "";

  const timer = setInterval(() => {
    try {
      const next = load(folder);
      lastProblem = "";
      if (same(current, next)) return;
      current = next;
      log.info("Certificates changed", { folder });
      for (const listener of caListeners) listener({ caCertificate: next.ca });
      for (const listener of identityListeners) listener(next);
    } catch (error) {
      const { message } = MeshError.from(error);
      if (message !== lastProblem)
        log.warn("New certificates are unusable, keeping the current ones", { folder, error });
      lastProblem = message;
    }
  }, EVERY_MS);
  timer.unref();

  return {
    get certificate() {
      return current.certificate.toString();
    },
    get ca() {
      return current.ca.toString();
    },
    addCaCertificateListener(listener) {
      caListeners.add(listener);
      later(caListeners, listener, () => ({ caCertificate: current.ca }));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener);
      later(identityListeners, listener, () => current);
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
    close: () => clearInterval(timer),
  };
}

/** grpc-js accepts an update only after it has added its listener: the first one is delivered in the next tick. */
function later<T>(listeners: ReadonlySet<(update: T) => void>, listener: (update: T) => void, now: () => T): void {
  process.nextTick(() => {
    if (listeners.has(listener)) listener(now());
  });
}

function load(folder: string): Loaded {
  try {
    const [ca, certificate, privateKey] = ["ca.crt", "tls.crt", "tls.key"].map((name) =>
      readFileSync(join(folder, name)),
    );
    if (ca === undefined || certificate === undefined || privateKey === undefined) throw new Error("a file is missing");
    createSecureContext({ ca, cert: certificate, key: privateKey });
    return { ca, certificate, privateKey };
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new MeshError({ code: "TLS_FILES", folder }, `Cannot use the certificates in "${folder}": ${reason}`, {
      cause,
    });
  }
}

function same(a: Loaded, b: Loaded): boolean {
  return a.ca.equals(b.ca) && a.certificate.equals(b.certificate) && a.privateKey.equals(b.privateKey);
}
