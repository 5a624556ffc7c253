/** Command lines of one cluster's control plane. Pure. In: the plan and folders. Out: argument lists. */
import { join } from "node:path";
import type { LabPaths } from "../plan/paths.js";
import type { ClusterPlan } from "../plan/plan.js";

/** On the loopback of the control plane's own network namespace. */
const ETCD_CLIENT = "http://127.0.0.1:2379";
const ETCD_PEER = "http://127.0.0.1:2380";

export function etcdCommand(bin: string, cluster: ClusterPlan, paths: LabPaths): string[] {
  return [
    join(bin, "etcd"),
    ...flags({
      name: cluster.name,
      "data-dir": paths.cluster(cluster.name).etcd,
      "listen-client-urls": ETCD_CLIENT,
      "advertise-client-urls": ETCD_CLIENT,
      "listen-peer-urls": ETCD_PEER,
      "initial-advertise-peer-urls": ETCD_PEER,
      "initial-cluster": `${cluster.name}=${ETCD_PEER}`,
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
      "etcd-servers": ETCD_CLIENT,
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
