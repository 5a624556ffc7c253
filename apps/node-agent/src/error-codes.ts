/** Codes of this package's errors; docs/reference/errors.md is made of them. */
export type AgentErrorCode =
  /**
   * The agent could not do what the container runtime asked, so a pod does not start, or is not removed yet; the sentence stands in
   * the Events of the pod. Fix: do what the sentence says. The runtime asks again by itself.
   */
  | "CNI"
  /** The path of the socket for the CNI plugin is too long for a unix socket. Fix: choose a shorter --cni-socket or --node-root. */
  | "CNI_SOCKET"
  /**
   * A network device of a pod is gone that the agent has just made or found: another program removed it. The agent retries by itself.
   * Fix: if it comes again and again, find the program on the node that removes devices whose names begin with mesh.
   */
  | "DEVICE"
  /**
   * An apiserver of another cluster answered: this node belongs to the cluster that its pins and its state folder are of. Fix: correct
   * --servers; to move the node to the other cluster, remove its pins (--bpffs) and its state folder (--state-dir) first.
   */
  | "OTHER_CLUSTER"
  /**
   * A change to mode `sockets`, which enforces no policies, while policies select pods of the node: the agent does not start, and
   * programs and maps go on enforcing what they did. Fix: start it with --datapath-mode packets; to change the mode, delete the
   * policies first, or add --unenforced-policy, which opens the pods and is a condition of the node in `mesh status`.
   */
  | "POLICY_IN_FORCE"
  /**
   * The copy of a source's records on disk cannot be used; the agent goes on without it. Fix: nothing to do, it is written anew; when
   * it happens at every start, check the disk below --state-dir.
   */
  | "SNAPSHOT"
  /**
   * The file with the pods' addresses cannot be read; the agent goes on with what the kernel has. Fix: nothing to do, it is written
   * anew; when it happens at every start, check the disk below --state-dir.
   */
  | "STATE_FILE"
  /**
   * No message came on the stream from an apiserver in time, so the agent opens another one. Fix: when it repeats, check the load of
   * clustermesh-apiserver, and proxies between it and the node. The node goes on with what it has.
   */
  | "STREAM_SILENT";
