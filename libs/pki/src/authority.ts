/**
 * A certificate authority: its self-signed certificate and its key, and what it signs.
 *
 * Certificates start five minutes in the past, so that a peer whose clock is behind accepts them at once.
 */
import { randomBytes } from "node:crypto";
import { createKey, importKeyPair, SIGNING } from "./key.js";
import { alternativeNames, subject } from "./names.js";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  type PublicKeyType,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "./x509.js";

const DAY_MS = 86_400_000;
const BACKDATE_MS = 5 * 60_000;

/** A certificate and its key as PEM text: of an authority or of a leaf. */
export interface KeyPair {
  /** X.509 in PEM, with a final newline. */
  readonly certificate: string;
  /** PKCS#8. */
  readonly key: string;
}

/** A `KeyPair` whose certificate may sign others. */
export type Authority = KeyPair;

export type Usage = "server" | "client";

export interface Leaf {
  /** `CN` of the subject: who the holder is. Kubernetes reads a user from it, the store a cluster. */
  readonly cn: string;
  /** `O` of the subject: Kubernetes reads groups from it. */
  readonly organizations?: readonly string[];
  /** IP addresses, DNS names, URIs. */
  readonly sans?: readonly string[];
  /** What it may be used for in TLS; a peer refuses it for anything else. */
  readonly usages: readonly Usage[];
  /** Days from now; 365 when absent. */
  readonly days?: number;
}

/** A self-signed authority that signs leaves only. `days`: 3650 when absent. */
export async function createAuthority(name: string, days = 3650): Promise<Authority> {
  const key = await createKey();
  const keys = await importKeyPair(key);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...validity(days),
    name: subject(name),
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key };
}

/** A new key and its certificate in one step, for callers that own both sides. */
export async function issue(authority: Authority, leaf: Leaf): Promise<KeyPair> {
  const key = await createKey();
  return { certificate: await signLeaf(authority, (await importKeyPair(key)).publicKey, leaf), key };
}

/** The certificate of a public key that the caller has checked. */
export async function signLeaf(authority: Authority, publicKey: PublicKeyType, leaf: Leaf): Promise<string> {
  const issuer = new X509Certificate(authority.certificate);
  const certificate = await X509CertificateGenerator.create({
    ...validity(leaf.days ?? 365),
    subject: subject(leaf.cn, leaf.organizations),
    issuer: issuer.subjectName,
    publicKey,
    signingKey: (await importKeyPair(authority.key)).privateKey,
    signingAlgorithm: SIGNING,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(leaf.usages.map((usage) => EXTENDED[usage])),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer),
      ...alternativeNames(leaf.sans ?? []),
    ],
  });
  return pem(certificate);
}

const EXTENDED: Record<Usage, ExtendedKeyUsage> = {
  server: ExtendedKeyUsage.serverAuth,
  client: ExtendedKeyUsage.clientAuth,
};

function validity(days: number): { serialNumber: string; notBefore: Date; notAfter: Date } {
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8(0) & 0x3f) | 0x40, 0);
  const now = Date.now();
  return {
    serialNumber: serial.toString("hex"),
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + days * DAY_MS),
  };
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
