/** Command lines of one cluster's control plane. Pure. In: the plan and folders. Out: argument lists. */
import { join } from "node:path";
import type { LabPaths } from "../plan/paths.js";
import type { ClusterPlan } from "../plan/plan.js";

/** Ports that differ per cluster, since all control planes share one network namespace and its loopback. */
export function etcdPorts(cluster: ClusterPlan): { readonly client: number; readonly peer: number } {
  return { client: 23_000 + cluster.id * 10, peer: 23_001 + cluster.id * 10 };
}

export function etcdCommand(bin: string, cluster: ClusterPlan, paths: LabPaths): string[] {
  const ports = etcdPorts(cluster);
  const client = `http://127.0.0.1:${ports.client}`;
  const peer = `http://127.0.0.1:${ports.peer}`;
  return [
    join(bin, "etcd"),
    ...flags({
      name: cluster.name,
      "data-dir": paths.cluster(cluster.name).etcd,
      "listen-client-urls": client,
      "advertise-client-urls": client,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": `${cluster.name}=${peer}`,
      "unsafe-no-fsync": "true",
      "log-level": "warn",
    }),
  ];
}

export function apiServerCommand(bin: string, cluster: ClusterPlan, paths: LabPaths): string[] {
  const pki = (name: string) => join(paths.cluster(cluster.name).pki, name);
  return [
    join(bin, "kube-apiserver"),
    ...flags({
      "etcd-servers": `http://127.0.0.1:${etcdPorts(cluster).client}`,
      "bind-address": cluster.apiAddress,
      "secure-port": "6443",
      "advertise-address": cluster.apiAddress,
      "service-cluster-ip-range": cluster.serviceCidr,
      "tls-cert-file": pki("apiserver.crt"),
      "tls-private-key-file": pki("apiserver.key"),
      "client-ca-file": pki("ca.crt"),
      "kubelet-client-certificate": pki("apiserver-kubelet-client.crt"),
      "kubelet-client-key": pki("apiserver-kubelet-client.key"),
      "kubelet-certificate-authority": pki("ca.crt"),
      "kubelet-preferred-address-types": "InternalIP",
      "service-account-key-file": pki("service-account.pub"),
      "service-account-signing-key-file": pki("service-account.key"),
      "service-account-issuer": "https://kubernetes.default.svc",
      "allow-privileged": "true",
      "authorization-mode": "Node,RBAC",
      "enable-admission-plugins": "NodeRestriction",
      // The API server is not a pod, so it has no ClusterIPs: it dials the endpoints of the Services of webhooks and aggregated APIs.
      "enable-aggregator-routing": "true",
    }),
  ];
}

export function controllerManagerCommand(bin: string, cluster: ClusterPlan, paths: LabPaths): string[] {
  const pki = (name: string) => join(paths.cluster(cluster.name).pki, name);
  return [
    join(bin, "kube-controller-manager"),
    ...flags({
      kubeconfig: pki("kube-controller-manager.kubeconfig"),
      "leader-elect": "false",
      "bind-address": "127.0.0.1",
      "secure-port": "0",
      "service-account-private-key-file": pki("service-account.key"),
      "root-ca-file": pki("ca.crt"),
      "use-service-account-credentials": "false",
      "allocate-node-cidrs": "true",
      "cluster-cidr": cluster.podCidr,
      "service-cluster-ip-range": cluster.serviceCidr,
      "node-cidr-mask-size": "24",
      "node-monitor-period": "1s",
      // Nodes must not become NotReady in a demo because the machine is overloaded.
      "node-monitor-grace-period": "20s",
    }),
  ];
}

export function schedulerCommand(bin: string, cluster: ClusterPlan, paths: LabPaths): string[] {
  return [
    join(bin, "kube-scheduler"),
    ...flags({
      kubeconfig: join(paths.cluster(cluster.name).pki, "kube-scheduler.kubeconfig"),
      "leader-elect": "false",
      "bind-address": "127.0.0.1",
      "secure-port": "0",
    }),
  ];
}

export function flags(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
