/**
 * Certificate requests: the private key stays where it was made, only the request is sent.
 *
 * The signer decides what a certificate contains. It takes only the public key from a request, after the proof that the
 * requester holds the private key, and only when the request's common name is exactly the expected one.
 */
import { MeshError } from "@isthmus/model";
import { type Authority, type Leaf, signLeaf } from "./authority.js";
import { importKeyPair, SIGNING } from "./key.js";
import { alternativeNames, subject } from "./names.js";
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from "./x509.js";

export interface RequestOptions {
  /** PKCS#8 PEM. */
  readonly key: string;
  /** `CN` of the subject that is asked for. */
  readonly cn: string;
  /** IP addresses, DNS names, URIs that are asked for; `signRequest` ignores them. */
  readonly sans?: readonly string[];
}

/** A PKCS#10 request as PEM text. */
export async function createRequest(options: RequestOptions): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: subject(options.cn),
    keys: await importKeyPair(options.key),
    signingAlgorithm: SIGNING,
    extensions: alternativeNames(options.sans ?? []),
  });
  return `${request.toString("pem")}\n`;
}

/**
 * Signs a request as the leaf that the caller describes; alternative names come from the caller alone.
 *
 * Throws `PKI_REQUEST` when it cannot be read, its proof of possession fails, its key is not EC P-256, or its common
 * name is not `leaf.cn`.
 */
export async function signRequest(authority: Authority, request: string, leaf: Leaf): Promise<string> {
  const parsed = read(request);
  const { cn } = requestSubject(parsed);
  if (cn !== leaf.cn) throw refused(`it asks for "${cn ?? ""}", expected "${leaf.cn}"`);
  const algorithm = parsed.publicKey.algorithm as { name: string; namedCurve?: string };
  if (algorithm.name !== SIGNING.name || algorithm.namedCurve !== SIGNING.namedCurve) {
    throw refused(`its key is ${algorithm.name}, expected EC P-256`);
  }
  if (!(await parsed.verify())) throw refused("its signature does not prove possession of the private key");
  return signLeaf(authority, parsed.publicKey, leaf);
}

/** The common name that a request asks for; absent when there is none or more than one. Throws `PKI_REQUEST`. */
export function requestName(request: string): string | undefined {
  return requestSubject(read(request)).cn;
}

/** The request's public key, SPKI in DER. Throws `PKI_REQUEST`. */
export function requestPublicKey(request: string): Uint8Array {
  return new Uint8Array(read(request).publicKey.rawData);
}

function requestSubject(request: Pkcs10CertificateRequest): { cn?: string } {
  const names = request.subjectName.getField("CN");
  const [cn] = names;
  return names.length === 1 && cn !== undefined ? { cn } : {};
}

function read(request: string): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(request);
  } catch (cause) {
    throw refused("it is not a PKCS#10 request in PEM", cause);
  }
}

function refused(why: string, cause?: unknown): MeshError<{ code: "PKI_REQUEST"; why: string }> {
  return new MeshError({ code: "PKI_REQUEST", why }, `Cannot sign the certificate request: ${why}`, { cause });
}
