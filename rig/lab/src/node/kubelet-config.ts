/** The kubelet's configuration and command line. Paths are as the node sees them. */
import { flags } from "../cluster/control-plane.js";
import { STATIC_PODS } from "../plan/paths.js";
import type { ClusterPlan, NodePlan } from "../plan/plan.js";
import { CONTAINERD_SOCKET } from "./containerd-config.js";
import { NODE_BIN_DIR, NODE_CONFIG_DIR } from "./node-folders.js";

/** JSON, which is YAML. */
export function kubeletConfig(cluster: ClusterPlan): string {
  const never = "0%";
  const config = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: `${NODE_CONFIG_DIR}/ca.crt` },
    },
    authorization: { mode: "AlwaysAllow" },
    tlsCertFile: `${NODE_CONFIG_DIR}/kubelet.crt`,
    tlsPrivateKeyFile: `${NODE_CONFIG_DIR}/kubelet.key`,
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    cgroupDriver: "cgroupfs",
    failSwapOn: false,
    failCgroupV1: false,
    resolvConf: "",
    clusterDomain: "cluster.local",
    clusterDNS: [cluster.dnsServiceAddress],
    podLogsDir: "/var/log/pods",
    staticPodPath: `/var/lib/${STATIC_PODS}`,
    containerLogMaxSize: "1Mi",
    containerLogMaxFiles: 2,
    // Disk and memory belong to the host, so a lab never evicts.
    evictionHard: {
      "memory.available": never,
      "nodefs.available": never,
      "nodefs.inodesFree": never,
      "imagefs.available": never,
      "imagefs.inodesFree": never,
    },
    imageGCHighThresholdPercent: 100,
    makeIPTablesUtilChains: false,
    protectKernelDefaults: false,
    readOnlyPort: 0,
    healthzPort: 0,
    eventRecordQPS: 0,
    registryPullQPS: 0,
    serializeImagePulls: false,
    // Without a watch per ConfigMap and Secret, pods start faster under load.
    configMapAndSecretChangeDetectionStrategy: "Get",
    nodeLeaseDurationSeconds: 8,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

export function kubeletCommand(node: NodePlan): string[] {
  return [
    `${NODE_BIN_DIR}/kubelet`,
    ...flags({
      config: `${NODE_CONFIG_DIR}/kubelet.json`,
      kubeconfig: `${NODE_CONFIG_DIR}/kubelet.kubeconfig`,
      "root-dir": "/var/lib/kubelet",
      "hostname-override": node.name,
      "node-ip": node.address,
    }),
  ];
}
