/** A cluster's access to the store: signs its certificate request, and decides whether an existing certificate can stay. */
import type { MeshCluster, StoreSpec } from "@isthmus/kube";
import { MeshError } from "@isthmus/model";
import { isSignedBy, readCertificate, requestPublicKey, signRequest } from "@isthmus/pki";
import type { StoreFile } from "./facts/store-file.js";

const DAYS = 365;

/** Signs the cluster's request; refuses one whose common name is not the cluster's name. */
export async function signStore(cluster: MeshCluster, file: StoreFile): Promise<StoreSpec> {
  const cn = cluster.metadata.name ?? "";
  const certificate = await signRequest(file.authority, requestOf(cluster), { cn, usages: ["client"], days: DAYS });
  return { endpoints: file.endpoints, ca: file.authority.certificate, certificate };
}

/** True when endpoints and CA are the store file's and the certificate is for the requested key with a third of its life left. */
export function keepsStore(cluster: MeshCluster, have: StoreSpec, file: StoreFile, now: Date): boolean {
  if ([...have.endpoints].sort().join() !== [...file.endpoints].sort().join()) return false;
  if (have.ca.trim() !== file.authority.certificate.trim()) return false;
  try {
    const { cn, notBefore, notAfter, publicKey } = readCertificate(have.certificate);
    const life = notAfter.getTime() - notBefore.getTime();
    return (
      cn === cluster.metadata.name &&
      isSignedBy(have.certificate, file.authority.certificate) &&
      Buffer.from(publicKey).equals(requestPublicKey(requestOf(cluster))) &&
      notAfter.getTime() - now.getTime() > life / 3
    );
  } catch {
    return false;
  }
}

function requestOf(cluster: MeshCluster): string {
  const request = cluster.status?.storeRequest;
  if (request !== undefined) return request;
  const name = cluster.metadata.name ?? "";
  throw new MeshError(
    { code: "STORE_REQUEST", cluster: name },
    `Cannot sign for cluster "${name}": it holds no certificate request`,
  );
}
