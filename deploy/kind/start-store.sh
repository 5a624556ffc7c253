#!/usr/bin/env bash
# Creates the shared etcd's container with its certificates and its owner, or adds what is missing. Used by up.sh and demo.sh.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
find_engine

# ctl ARGUMENTS...: runs etcdctl in the container as the store's owner; the certificate is valid for 127.0.0.1 too.
ctl() {
  "$CLI" exec "$MESH_ETCD" etcdctl --endpoints https://127.0.0.1:2379 --cacert /pki/ca.crt --cert /pki/root.crt --key /pki/root.key "$@"
}

await_store() {
  local tries=0
  until ctl endpoint health >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then
      say "Cannot start the store; its log: $CLI logs $MESH_ETCD"
      exit 1
    fi
    sleep 0.5
  done
}

# certify: installs the store's certificate. The engine chooses the container's address, which may change at a restart; a fixed one
# would need a network with a configured subnet. So the container starts first and gets a certificate for its current address.
certify() {
  node "$HERE/pki.mjs" store "$STATE/store" "$(address_of "$MESH_ETCD")"
  ! "$CLI" exec "$MESH_ETCD" cat /pki/server.crt 2>/dev/null | cmp -s - "$STATE/store/server.crt" || return 0
  # The CA's key is not copied into the container.
  copy_files "$STATE/store" "$MESH_ETCD" /pki ca.crt server.crt server.key root.crt root.key
  if "$CLI" exec "$MESH_ETCD" test -f /pki/ready; then
    say "The store has another address now: clusters that are connected have to be connected again (mesh connect ${CLUSTERS[*]})"
    "$CLI" exec "$MESH_ETCD" store hold
    "$CLI" exec "$MESH_ETCD" store start
  fi
  "$CLI" exec "$MESH_ETCD" touch /pki/ready
}

"$CLI" inspect "$MESH_ETCD" >/dev/null 2>&1 ||
  "$CLI" run --detach --name "$MESH_ETCD" --network kind --restart unless-stopped "$ETCD_IMAGE" >/dev/null
"$CLI" start "$MESH_ETCD" >/dev/null
"$CLI" exec "$MESH_ETCD" store start
certify
await_store
if ! "$CLI" exec "$MESH_ETCD" test -f /pki/open; then
  ctl user list | grep -x root >/dev/null || ctl user add root --no-password >/dev/null
  ctl user grant-role root root >/dev/null
  ctl auth enable >/dev/null
  "$CLI" exec "$MESH_ETCD" store open
  await_store
fi
