/** A gauge of when the certificates in use expire, for alerts long before. */
import type { GaugeMetric, Metrics } from "@isthmus/observe";
import { expiresAt } from "@isthmus/pki";

/** `read` is called at every scrape and returns PEM by name; undefined when there is no such certificate. */
export function watchCertificates(metrics: Metrics, read: () => Readonly<Record<string, string | undefined>>): void {
  metrics.gauge(
    "mesh_certificate_expiry_timestamp_seconds",
    "When a certificate in use expires, in seconds since 1970",
    ["certificate"],
    (gauge) => {
      for (const [certificate, pem] of Object.entries(read())) set(gauge, certificate, pem);
    },
  );
}

function set(gauge: GaugeMetric, certificate: string, pem: string | undefined): void {
  try {
    if (pem === undefined) gauge.remove({ certificate });
    else gauge.set(expiresAt(pem).getTime() / 1000, { certificate });
  } catch {
    // The code that uses the certificate reports that it cannot be read.
    gauge.remove({ certificate });
  }
}
