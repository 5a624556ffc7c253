/** The specification of a process: what the supervisor knows before it runs. */

/** The roles that users can name. */
export const ROLES = [
  "lab",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "etcd",
  "mesh-etcd",
  "clustermesh-apiserver",
  "containerd",
  "kubelet",
  "node-agent",
] as const;
export type Role = (typeof ROLES)[number];

/** Roles of processes that keep namespaces alive: supervised like the others, listed only by `ps --all`. */
export const NAMESPACE_ROLES = ["underlay", "control-plane", "node"] as const;
export type NamespaceRole = (typeof NAMESPACE_ROLES)[number];

export interface ProcessSpec {
  readonly role: Role | NamespaceRole;
  readonly cluster?: string;
  readonly node?: string;
  /** File that its output is appended to. */
  readonly log: string;
  /** Control group (relative to the mounts) that it joins before its first instruction. */
  readonly cgroup: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs before every start and waits for what the process needs; a rejection counts as a failed start. */
  readonly prepare?: (signal: AbortSignal) => Promise<void>;
  /** Returns the command line; called at every start. */
  readonly command: () => readonly string[];
  /** The command forks and the program is its only child (`nsenter --pid`, `unshare --fork`). */
  readonly forks?: boolean;
  /** Runs after every start, with the pid of the program. */
  readonly started?: (pid: number) => Promise<void>;
  /** How long `stop` waits after SIGTERM; 0 = SIGKILL at once. */
  readonly graceMs: number;
}

export function processId(of: { readonly role: string; readonly cluster?: string; readonly node?: string }): string {
  return [of.role, of.node ?? of.cluster].filter(Boolean).join(".");
}
