/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type ApiserverErrorCode =
  /**
   * A call of the admin API (`mesh status`, `mesh service list`, `mesh connect`) was refused. Fix: read the reason in the sentence:
   * a token that has expired is requested anew by running the command again; a missing right comes from deploy/base, apply it again.
   */
  | "ADMIN"
  /**
   * "cluster-id" in mesh-config is another than that of the MeshCluster, and an id never changes. Fix: set "cluster-id" back to the
   * id that the sentence names.
   */
  | "CLUSTER_ID_CHANGED"
  /**
   * The kind MeshCluster in this cluster is of an older version and drops a field, so identity numbers could be given twice; none is
   * given. Fix: `kubectl apply -k deploy/base` of this version.
   */
  | "CRD_OUTDATED"
  /**
   * The ConfigMap mesh-system/mesh-config cannot be used; the last good one stays in force. Fix: correct the field that the sentence
   * names; it is read again at once.
   */
  | "MESH_CONFIG"
  /**
   * The certificate or the CA in `spec.store` of the MeshCluster cannot be used with this cluster's key. Fix: run `mesh connect`
   * again: it signs the cluster's request anew.
   */
  | "STORE_CERTIFICATE"
  /**
   * The Secret with the private key for the store has no key. Fix: delete the Secret, a new key is made; then run `mesh connect`
   * again, which signs it.
   */
  | "STORE_KEY"
  /**
   * ca.crt, tls.crt or tls.key in --tls-dir is missing, cannot be read, or does not belong to the others. The files that were read
   * before stay in use. Fix: put the three files in place; they are read again by themselves.
   */
  | "TLS_FILES";
