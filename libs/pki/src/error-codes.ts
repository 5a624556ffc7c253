/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type PkiErrorCode =
  /** A certificate is no X.509 in PEM. Fix: replace the certificate, or the object that holds it. */
  | "PKI_CERTIFICATE"
  /** A PEM file cannot be read, or has no PEM block. Fix: check that the file exists, who may read it, and what is in it. */
  | "PKI_FILE"
  /**
   * A private key is not of the kind that is used here, EC P-256 in PEM. Fix: replace the key. The store's key of a cluster is in
   * Secret mesh-system/mesh-store-key; clustermesh-apiserver makes a new one when that is deleted, and then `mesh connect` must
   * run again.
   */
  | "PKI_KEY"
  /**
   * A certificate request cannot be used: it is not PKCS#10 in PEM, its signature is not of its own key, or it is for another
   * name. Fix: `status.storeRequest` of that cluster's MeshCluster is written anew by its clustermesh-apiserver within seconds when
   * it is unusable; check that it runs, and that nothing else writes that status.
   */
  | "PKI_REQUEST";
