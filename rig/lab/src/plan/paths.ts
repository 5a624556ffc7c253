/** The paths of a lab's files: one folder per lab, and the cache. */
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const LABS_ROOT = "/var/lib/isthmus/labs";

/** Folder of this package and of the checkout, from `rig/lab/dist/plan/paths.js`. */
export const PACKAGE_ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const REPOSITORY_ROOT = fileURLToPath(new URL("../../../..", import.meta.url));

export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return join(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"), "isthmus");
}

/** In a node's /var/lib: manifests of pods that its kubelet runs without an API server. */
export const STATIC_PODS = "static-pods";

export interface LabPaths {
  readonly root: string;
  readonly plan: string;
  readonly runtime: string;
  readonly socket: string;
  readonly kubeconfig: string;
  readonly logs: string;
  /** One record for each fault that is in force. */
  readonly faults: string;
  readonly store: StorePaths;
  cluster(name: string): ClusterPaths;
  node(name: string): NodePaths;
}

export interface StorePaths {
  readonly root: string;
  readonly file: string;
  readonly users: string;
  readonly data: string;
  readonly provisionSocket: string;
}

export interface ClusterPaths {
  readonly root: string;
  readonly pki: string;
  readonly etcd: string;
  readonly meshTls: string;
  readonly token: string;
  readonly meshKubeconfig: string;
}

export interface NodePaths {
  readonly root: string;
  /** Bound on the node's /run/lab: configuration and certificates that its processes read. */
  readonly config: string;
  /** Bound on the node's /var/lib and /var/log. */
  readonly varLib: string;
  readonly varLog: string;
  /** Manifests of static pods. */
  readonly staticPods: string;
  readonly agentTls: string;
}

export function labPaths(name: string): LabPaths {
  const root = join(LABS_ROOT, name);
  const store = join(root, "store");
  return {
    root,
    plan: join(root, "lab.json"),
    runtime: join(root, "runtime.json"),
    socket: join(root, "lab.sock"),
    kubeconfig: join(root, "kubeconfig"),
    logs: join(root, "log"),
    faults: join(root, "faults"),
    store: {
      root: store,
      file: join(store, "store.json"),
      users: join(store, "users.json"),
      data: join(store, "etcd"),
      provisionSocket: join(store, "provision.sock"),
    },
    cluster: (cluster) => clusterPaths(join(root, "clusters", cluster)),
    node: (node) => nodePaths(join(root, "nodes", node)),
  };
}

function clusterPaths(root: string): ClusterPaths {
  return {
    root,
    pki: join(root, "pki"),
    etcd: join(root, "etcd"),
    meshTls: join(root, "mesh-tls"),
    token: join(root, "clustermesh-apiserver.token"),
    meshKubeconfig: join(root, "clustermesh-apiserver.kubeconfig"),
  };
}

function nodePaths(root: string): NodePaths {
  return {
    root,
    config: join(root, "config"),
    varLib: join(root, "var-lib"),
    varLog: join(root, "var-log"),
    staticPods: join(root, "var-lib", STATIC_PODS),
    agentTls: join(root, "agent-tls"),
  };
}
