#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pid 1 of a node, inside its new mount, pid, uts, ipc, cgroup and network namespaces: gives the node its own /proc, /sys, control groups,
# /run, /var/lib and /var/log, then becomes the reaper. Arguments: NAME NODE_DIR BIN_DIR REAPER, then one "MOUNT|VERSION|OPTIONS" for each hierarchy.
set -eu
name=$1 dir=$2 bin=$3 reaper=$4
shift 4

hostname "$name"
# Pins of the root's network namespaces were copied into this mount namespace and would keep them alive.
umount -l -R /run/netns 2>/dev/null || true
mount -t proc proc /proc

# bpffs belongs to the machine: keep a handle on it while /sys is covered.
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
# The end of the set-up, for the supervisor to see.
: >/run/lab/ready
exec "/run/lab/reaper/$(basename "$reaper")"
