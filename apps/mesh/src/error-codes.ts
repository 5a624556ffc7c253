/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type MeshCommandErrorCode =
  /**
   * The admin API of a cluster does not answer, or refuses. Fix: check `kubectl -n mesh-system get pods` there and that the
   * addresses "admin-servers" of mesh-config can be reached from here; when it refuses, apply deploy/base again.
   */
  | "ADMIN"
  /** A context was named that the kubeconfig does not have. Fix: `kubectl config get-contexts` lists them. */
  | "CONTEXT"
  /** A call was still running when its command had ended. Fix: nothing to do, the command has reported its result. */
  | "ENDED"
  /** Ctrl-C or SIGTERM ended the command; exit code 130 or 143. Fix: run it again: it continues where it stopped. */
  | "INTERRUPTED"
  /**
   * A cluster holds several MeshCluster objects, so it is not known which one it is. Fix: delete the objects of other clusters:
   * `kubectl delete meshcluster NAME`.
   */
  | "MESH_CLUSTERS"
  /** The context is of a cluster without the mesh. Fix: name another one with --context, or apply deploy/base there. */
  | "NO_MESH"
  /** The cluster has no namespace of that name. Fix: `kubectl get namespaces` lists them. */
  | "NO_NAMESPACE"
  /** The cluster has no Linux node of that name. Fix: `kubectl get nodes` lists them. */
  | "NO_NODE"
  /**
   * The cluster has no pod of that name, or one on the node's network, which has neither events nor policies and whose connects are not
   * translated, or one without an address; or the name is that of a Service, which policies do not see. Fix: `kubectl get pods` lists
   * them; write NAMESPACE/POD.
   */
  | "NO_POD"
  /**
   * A node's agent gives no rows of a map, or did not give all. Fix: do what the sentence says; `mesh status` shows which agents
   * are connected, and of which version.
   */
  | "NO_ROWS"
  /**
   * The cluster has no Service of that name, or one without the port that was named, or without a ClusterIP, which no pod dials. Fix:
   * `kubectl get services` lists them; write NAMESPACE/SERVICE.
   */
  | "NO_SERVICE"
  /**
   * The file of the store (--store or MESH_STORE) cannot be used; exit code 2. Fix: correct what the sentence names. It is JSON with
   * "endpoints", "ca", "cert", "key" and "caKey", paths relative to the file.
   */
  | "STORE_FILE"
  /**
   * A cluster has not published the certificate request that is to be signed for it. Fix: check that its clustermesh-apiserver runs
   * and may write the status of its MeshCluster: `kubectl describe meshcluster`; then run `mesh connect` again.
   */
  | "STORE_REQUEST"
  /**
   * A command did not finish within --timeout; exit code 3. Fix: check the server that the sentence names, or give more time:
   * --timeout 2m.
   */
  | "TIMEOUT"
  /** The command line is wrong; exit code 2. Fix: do what the sentence says; `mesh COMMAND --help` has all options. */
  | "USAGE"
  /**
   * users.json beside the store file, in which `mesh connect` remembers the store's users, cannot be read. Fix: correct its JSON, or
   * remove it: `mesh connect` with all clusters writes it anew.
   */
  | "USERS_FILE";
