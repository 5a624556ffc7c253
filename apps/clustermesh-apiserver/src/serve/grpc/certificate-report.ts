/** When the certificates in use expire, for `mesh status`. One that cannot be read is left out: the code that uses it reports that. */
import { expiresAt } from "@isthmus/pki";
import type { CertificateReport } from "@isthmus/proto";

/** `certificates`: PEM by name; undefined when there is none. */
export function reportCertificates(certificates: Readonly<Record<string, string | undefined>>): CertificateReport[] {
  return Object.entries(certificates).flatMap(([name, pem]) => {
    const notAfter = pem === undefined ? undefined : expiry(pem);
    return notAfter === undefined ? [] : [{ name, notAfter }];
  });
}

/** In seconds since 1970. */
function expiry(pem: string): bigint | undefined {
  try {
    return BigInt(Math.max(0, Math.floor(expiresAt(pem).getTime() / 1000)));
  } catch {
    return undefined;
  }
}
