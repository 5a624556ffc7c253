/** Reads the fields of a certificate and checks its issuer. */
import { X509Certificate } from "node:crypto";
import { MeshError } from "@isthmus/model";

export interface CertificateFacts {
  /** Common name; empty when there is none. */
  readonly cn: string;
  /** Start of its validity; `signLeaf` sets it five minutes before the present. */
  readonly notBefore: Date;
  /** End of its validity: from then on TLS refuses it. */
  readonly notAfter: Date;
  /** Public key, SPKI in DER. */
  readonly publicKey: Uint8Array;
}

/** Reads the first certificate of a PEM text. Throws `PKI_CERTIFICATE`. */
export function readCertificate(pem: string): CertificateFacts {
  const certificate = parse(pem);
  return {
    cn: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "",
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    publicKey: new Uint8Array(certificate.publicKey.export({ format: "der", type: "spki" })),
  };
}

/** When the first certificate of a PEM text expires. Throws `PKI_CERTIFICATE`. */
export function expiresAt(pem: string): Date {
  return readCertificate(pem).notAfter;
}

/** True when `authority` (PEM) issued and signed `certificate` (PEM). Dates are not checked. */
export function isSignedBy(certificate: string, authority: string): boolean {
  const [leaf, issuer] = [parse(certificate), parse(authority)];
  return leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey);
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new MeshError({ code: "PKI_CERTIFICATE" }, "Cannot read the certificate: it is not X.509 in PEM", { cause });
  }
}
