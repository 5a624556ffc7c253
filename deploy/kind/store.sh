#!/bin/sh
# Runs in the container of the shared etcd: without an argument as its first process, and by exec as "store open|hold|start|wipe".
#
# An empty store lets anyone write, so it listens only on loopback until start-store.sh has created its users:
#
#   file "ready" in the folder of certificates ──► on 127.0.0.1 ──► "store open" ──► on every address
#
# From then on etcd serves at once after a restart of the container or of etcd. `hold` ends etcd with SIGKILL and keeps it down until
# `start`; `wipe` ends it and deletes its data, including users: it listens only on loopback again.
set -eu
pki=${PKI:-/pki} data=${DATA:-/var/lib/store/data} run=${RUN:-/run/store}

serve() {
	url=https://127.0.0.1:2379
	[ ! -f "$pki/open" ] || url=https://0.0.0.0:2379
	etcd --name mesh --data-dir "$data" --listen-client-urls "$url" --advertise-client-urls https://localhost:2379 \
		--client-cert-auth --trusted-ca-file "$pki/ca.crt" --cert-file "$pki/server.crt" --key-file "$pki/server.key" &
	echo $! >"$run/pid"
	# `hold` may have run since the check before "serve", and may have killed the previous process only.
	[ ! -f "$run/held" ] || end KILL
	wait $! || true
}

# end SIGNAL: signals etcd and returns when it has exited.
end() {
	pid=$(cat "$run/pid" 2>/dev/null || true)
	[ -n "$pid" ] || return 0
	kill -s "$1" "$pid" 2>/dev/null || return 0
	while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.05; done
}

case ${1:-} in
"")
	mkdir -p "$run"
	rm -f "$run/pid"
	trap 'end TERM; exit 0' TERM INT
	while :; do
		if [ -f "$pki/ready" ] && [ ! -f "$run/held" ]; then serve; fi
		sleep 0.2
	done
	;;
open)
	touch "$pki/open"
	end TERM
	;;
hold)
	touch "$run/held"
	end KILL
	;;
start) rm -f "$run/held" ;;
wipe)
	touch "$run/held"
	end KILL
	rm -rf "$data" "$pki/open"
	rm -f "$run/held"
	;;
*)
	echo "usage: store [open|hold|start|wipe]" >&2
	exit 2
	;;
esac
