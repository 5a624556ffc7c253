#!/bin/bash
# Process 1 of a guest: mounts what the tests need, runs them, turns the machine off.
#   guest.sh MODULES NODE TEST-FILE...
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
modules=$1 node=$2
shift 2
cd "$(dirname "$0")/../.." || exit

mount -t tmpfs tmpfs /run
mkdir -p /dev/shm /dev/pts /lib/modules
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
mount --bind "$modules" /lib/modules
ip link set lo up
ip route add default dev lo # addresses that are not Services need a route
echo "kernels: guest is up"

failed=0
for test; do
	if timeout 600 "$node" --test-reporter=tap "$test" >/run/out; then
		echo "kernels: $test: $(grep -c '^ok' /run/out) passed"
		grep -E 'walked by the verifier|^# kernel: ' /run/out
	else
		failed=1
		echo "kernels: $test: failed"
		cat /run/out
	fi
done
[ "$failed" = 0 ] && echo "kernels: passed"
sync
echo o >/proc/sysrq-trigger
sleep 10
