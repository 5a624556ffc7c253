/**
 * When the certificates in use expire: a gauge for alerts long before, and a report for `mesh status`. Both leave out a
 * certificate that cannot be read: the code that uses it reports that.
 */
import type { Metrics } from "@isthmus/observe";
import { expiresAt } from "@isthmus/pki";
import type { CertificateReport } from "@isthmus/proto";

/** PEM by name; undefined when there is no such certificate. */
export type Certificates = Readonly<Record<string, string | undefined>>;

/** `read` is called at every scrape. */
export function watchCertificates(metrics: Metrics, read: () => Certificates): void {
  metrics.gauge(
    "mesh_certificate_expiry_timestamp_seconds",
    "When a certificate in use expires, in seconds since 1970",
    ["certificate"],
    (gauge) => {
      for (const [certificate, pem] of Object.entries(read())) {
        const seconds = expiry(pem);
        if (seconds !== undefined) gauge.set(seconds, { certificate });
      }
    },
  );
}

/** `notAfter`: seconds since 1970. */
export function reportCertificates(certificates: Certificates): CertificateReport[] {
  return Object.entries(certificates).flatMap(([name, pem]) => {
    const seconds = expiry(pem);
    return seconds === undefined ? [] : [{ name, notAfter: BigInt(Math.max(0, Math.floor(seconds))) }];
  });
}

/** In seconds since 1970; undefined without a readable certificate. */
function expiry(pem: string | undefined): number | undefined {
  try {
    const seconds = pem === undefined ? Number.NaN : expiresAt(pem).getTime() / 1000;
    return Number.isNaN(seconds) ? undefined : seconds;
  } catch {
    return undefined;
  }
}
