#!/usr/bin/env bash
# The root filesystem of a kind node, without an image registry: Debian's packages, kind's own node files, the lab's Kubernetes.
#
#   node-image.sh ROOT KIND_FILES KUBERNETES KUBEADM ARCHIVES VERSION
#
# ROOT: a folder with debootstrap's result. KIND_FILES: "images/base/files" of kind's Go module. KUBERNETES: a folder with kubelet
# and kubectl. ARCHIVES: a folder with pause.tar and control-plane.tar, which a node's containerd imports when it starts.
set -euo pipefail
root=$1 files=$2 kubernetes=$3 kubeadm=$4 archives=$5 version=$6

for folder in usr etc kind; do cp -R --no-preserve=all "$files/$folder" "$root/"; done
chmod 0755 "$root"/usr/local/bin/* "$root"/kind/bin/*
install -m 0755 "$kubernetes/kubelet" "$kubernetes/kubectl" "$kubeadm" "$root/usr/bin/"
mkdir -p "$root/etc/kubernetes/manifests" "$root/kind/images" "$root/etc/systemd/system/containerd.service.d"
install -m 0644 "$archives"/*.tar "$root/kind/images/"
printf '%s' "$version" >"$root/kind/version"

# As kind's Dockerfile does: only kind's own units are enabled.
units=$root/lib/systemd/system
find "$units/sysinit.target.wants/" -name systemd-tmpfiles-setup.service -delete
rm -f "$units"/{multi-user,local-fs,basic}.target.wants/* "$units"/sockets.target.wants/*{udev,initctl}* "$root"/etc/systemd/system/*.wants/*
echo ReadKMsg=no >>"$root/etc/systemd/journald.conf"
ln -sf /lib/systemd/systemd "$root/sbin/init"
systemctl --root "$root" enable kubelet.service containerd.service undo-mount-hacks.service
systemctl --root "$root" mask systemd-binfmt.service

# kind's units name containerd where kind installs its own.
for program in containerd ctr; do ln -sf "/usr/bin/$program" "$root/usr/local/bin/$program"; done
mkdir -p "$root/opt/cni/bin"
for plugin in host-local loopback ptp portmap; do ln -sf "/usr/lib/cni/$plugin" "$root/opt/cni/bin/$plugin"; done
chroot "$root" ctr oci spec |
  jq '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' >"$root/etc/containerd/cri-base.json"
# The engine's containers may have no CAP_SYS_RESOURCE, which lowering a score below the parent's needs.
sed -i -e 's|sandbox_image = .*|sandbox_image = "lab.isthmus.io/pause:1"|' -e 's|restrict_oom_score_adj = .*|restrict_oom_score_adj = true|' \
  "$root/etc/containerd/config.toml"

cat >"$root/usr/local/bin/import-images" <<'SCRIPT'
#!/bin/sh
# The images that kubeadm would pull. kind recognizes a control plane by its KUBECONFIG.
set -eu
archives=/kind/images/pause.tar
if tr '\0' '\n' </proc/1/environ | grep -q ^KUBECONFIG=; then archives="$archives /kind/images/control-plane.tar"; fi
for archive in $archives; do ctr -n k8s.io images import "$archive"; done
SCRIPT
chmod 0755 "$root/usr/local/bin/import-images"
printf '[Service]\nExecStartPost=/usr/local/bin/import-images\n' >"$root/etc/systemd/system/containerd.service.d/10-images.conf"
# Otherwise the kubelet pulls images that are not imported yet from a registry, and gives up only after two minutes.
mkdir -p "$root/etc/systemd/system/kubelet.service.d"
printf '[Unit]\nAfter=containerd.service\n' >"$root/etc/systemd/system/kubelet.service.d/20-images.conf"

rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/* "$root"/var/log/*.log
