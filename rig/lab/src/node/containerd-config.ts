/** containerd's configuration for a node. Paths are as the node sees them. */
import { PAUSE_TAG } from "../images/pause.js";

/** Where the agent installs the CNI plugin and its configuration. */
export const CNI_BIN_DIR = "/var/lib/isthmus/cni/bin";
export const CNI_CONF_DIR = "/var/lib/isthmus/cni/net.d";
export const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";

const UNUSED_PLUGINS = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.native",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
];

export function containerdConfig(runc: string): string {
  const cri = `plugins."io.containerd.grpc.v1.cri"`;
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ${JSON.stringify(UNUSED_PLUGINS)}
[grpc]
  address = "${CONTAINERD_SOCKET}"
[${cri}]
  sandbox_image = "${PAUSE_TAG}"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE runc cannot lower a container's oom_score_adj.
  restrict_oom_score_adj = true
  enable_selinux = false
[${cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"
  disable_snapshot_annotations = true
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
  BinaryName = "${runc}"
[${cri}.cni]
  bin_dir = "${CNI_BIN_DIR}"
  conf_dir = "${CNI_CONF_DIR}"
`;
}
