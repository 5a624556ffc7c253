#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pid 1 of a node, inside its new mount, pid, uts, ipc, cgroup and network namespaces: mounts the node's own /proc, /sys, control groups,
# /run, /var/lib and /var/log, then executes the reaper. Arguments: NAME NODE_DIR BIN_DIR REAPER, then one "MOUNT|VERSION|OPTIONS" for
# each hierarchy.
set -eu
name=$1 dir=$2 bin=$3 reaper=$4
shift 4

hostname "$name"
# Mounts of the root's named network namespaces were copied into this mount namespace and would keep those namespaces alive.
umount -l -R /run/netns 2>/dev/null || true
mount -t proc proc /proc

# All nodes share the machine's bpffs: keep a handle on it while /sys is covered.
mkdir -p "$dir/keep" "$dir/keep-bin" "$dir/keep-reaper"
mount --bind /sys/fs/bpf "$dir/keep"
mount --bind "$bin" "$dir/keep-bin"
mount --bind "$(dirname "$reaper")" "$dir/keep-reaper"
mount -t sysfs sysfs /sys
only_v2=
if [ $# = 1 ] && [ "${1#*|}" = "2|" ]; then only_v2=yes; fi
[ -n "$only_v2" ] || mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
for hierarchy in "$@"; do
	target=${hierarchy%%|*} rest=${hierarchy#*|}
	mkdir -p "$target"
	case $rest in
	1\|*) mount -t cgroup -o "${rest#1|}" cgroup "$target" ;;
	2\|*) mount -t cgroup2 cgroup2 "$target" ;;
	esac
done
mount --move "$dir/keep" /sys/fs/bpf

mount -t tmpfs -o mode=755 run /run
mkdir -p /run/netns /run/lock /run/lab/config /run/lab/bin /run/lab/reaper
mount --bind "$dir/config" /run/lab/config
mount --move "$dir/keep-bin" /run/lab/bin
mount --move "$dir/keep-reaper" /run/lab/reaper
mount --bind "$dir/var-log" /var/log
mount --bind "$dir/var-lib" /var/lib
mount --make-rshared /

ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter
# The supervisor waits for this file: the set-up is complete.
: >/run/lab/ready
exec "/run/lab/reaper/$(basename "$reaper")"
