#!/bin/sh
# The container of the shared etcd. An empty store lets anyone write, so it serves only itself until up.sh has made its users:
#
#   file "ready" in the folder of certificates ──► on 127.0.0.1 ──► file "open" ──► on every address
#
# From then on a restart of the container serves at once.
set -eu
pki=${PKI:-/pki} data=${DATA:-/var/lib/etcd}

serve() {
	exec etcd --name mesh --data-dir "$data" --listen-client-urls "$1" --advertise-client-urls https://localhost:2379 \
		--client-cert-auth --trusted-ca-file "$pki/ca.crt" --cert-file "$pki/server.crt" --key-file "$pki/server.key"
}

until [ -f "$pki/ready" ]; do sleep 0.2; done
if [ ! -f "$pki/open" ]; then
	serve https://127.0.0.1:2379 &
	closed=$!
	until [ -f "$pki/open" ]; do sleep 0.2; done
	kill "$closed"
	wait "$closed" || true
fi
serve https://0.0.0.0:2379
