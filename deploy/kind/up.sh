#!/usr/bin/env bash
# Two kind clusters with the mesh in them, and one shared etcd, not yet connected. Running it again goes on where it stopped.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need docker kind kubectl node

[ -f "$ROOT/apps/mesh/dist/main.js" ] || { say "Cannot go on: the checkout is not built. Run: npm ci && npm run build"; exit 2; }
mkdir -p "$STATE"
chmod 700 "$STATE"

say "Building images"
# kind cannot load an image that comes with attestations from Docker's containerd store.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
for target in runtime:"$IMAGE" demo:"$DEMO_IMAGE" etcd:"$ETCD_IMAGE"; do
  docker build --quiet --file "$HERE/Dockerfile" --target "${target%%:*}" --tag "${target#*:}" "$ROOT" >/dev/null
done

for cluster in "${CLUSTERS[@]}"; do
  name=$(kind_name "$cluster")
  if ! kind get clusters 2>/dev/null | grep -qx "$name"; then
    say "Creating cluster $cluster"
    kind create cluster --config "$HERE/cluster-$cluster.yaml" --kubeconfig "$KUBECONFIG"
  fi
  if ! kubectl config get-contexts --output=name | grep -qx "$cluster"; then
    kubectl config rename-context "kind-$name" "$cluster" >/dev/null
  fi
  kind load docker-image --name "$name" "$IMAGE" "$DEMO_IMAGE"
done

# The store's address is Docker's choice: a fixed one can be had only in a network with a subnet of one's own. So it runs first,
# gets its certificate for the address it has, and its users while it serves nobody but itself (store.sh).
start_store() {
  docker inspect "$ETCD" >/dev/null 2>&1 ||
    docker run --detach --name "$ETCD" --network kind --restart unless-stopped "$ETCD_IMAGE" >/dev/null
  docker start "$ETCD" >/dev/null
  if docker exec "$ETCD" test -f /pki/open; then return; fi
  node "$HERE/pki.mjs" store "$STATE/store" "$(address_of "$ETCD")"
  # The CA's key stays here.
  tar -C "$STATE/store" -c ca.crt server.crt server.key root.crt root.key --transform 's,^,pki/,' | docker cp --quiet - "$ETCD:/"
  docker exec "$ETCD" touch /pki/ready
  await_store
  store_ctl user list | grep -qx root || store_ctl user add root --no-password >/dev/null
  store_ctl user grant-role root root >/dev/null
  store_ctl auth enable >/dev/null
  docker exec "$ETCD" touch /pki/open
  await_store
}

# store_ctl ARGUMENTS...: etcdctl in the container, as the store's owner; the certificate is for 127.0.0.1 as well.
store_ctl() {
  docker exec "$ETCD" etcdctl --endpoints https://127.0.0.1:2379 --cacert /pki/ca.crt --cert /pki/root.crt --key /pki/root.key "$@"
}

await_store() {
  local tries=0
  until store_ctl endpoint health >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { say "Cannot start the store; its log: docker logs $ETCD"; exit 1; }
    sleep 0.5
  done
}

say "Starting the shared etcd"
start_store

# install CLUSTER ID POD_CIDR SERVICE_CIDR
install_mesh() {
  local cluster=$1 id=$2 pods=$3 services=$4 dir=$STATE/$1 node pairs=() servers=() admins=()
  local control_plane kubectl=(kubectl --context "$cluster")
  control_plane=$(kind_name "$cluster")-control-plane
  for node in $(nodes_of "$cluster"); do
    pairs+=("$node=$(address_of "$node")")
    servers+=("$(address_of "$node"):7443")
    admins+=("$(address_of "$node"):7444")
  done
  say "Installing the mesh in $cluster"
  node "$HERE/pki.mjs" cluster "$dir" "${pairs[@]}"
  for node in $(nodes_of "$cluster"); do
    docker exec "$node" mkdir -p -m 0700 /etc/isthmus/tls
    docker cp --quiet "$dir/ca.crt" "$node:/etc/isthmus/tls/ca.crt"
    docker cp --quiet "$dir/$node.crt" "$node:/etc/isthmus/tls/tls.crt"
    docker cp --quiet "$dir/$node.key" "$node:/etc/isthmus/tls/tls.key"
    docker exec "$node" chown -R 0:0 /etc/isthmus/tls
  done
  "${kubectl[@]}" apply -k "$ROOT/deploy/base" >/dev/null
  local join_by=','
  apply_generated "$cluster" configmap mesh-config \
    --from-literal=cluster-name="$cluster" --from-literal=cluster-id="$id" \
    --from-literal=pod-cidrs="$pods" --from-literal=service-cidrs="$services" \
    --from-literal=servers="$(IFS=$join_by; echo "${servers[*]}")" \
    --from-literal=admin-servers="$(IFS=$join_by; echo "${admins[*]}")" \
    --from-file=admin-ca="$dir/ca.crt"
  apply_generated "$cluster" configmap mesh-kubernetes-api \
    --from-literal=host="$(address_of "$control_plane")" --from-literal=port=6443
  apply_generated "$cluster" secret generic mesh-apiserver-tls \
    --from-file=ca.crt="$dir/ca.crt" --from-file=tls.crt="$dir/apiserver.crt" --from-file=tls.key="$dir/apiserver.key"
  "${kubectl[@]}" apply -k "$HERE" >/dev/null
}

# apply_generated CLUSTER KIND... : what `kubectl create` would make, made or changed.
apply_generated() {
  local cluster=$1
  shift
  kubectl --context "$cluster" -n mesh-system create "$@" --dry-run=client -o yaml | kubectl --context "$cluster" apply -f - >/dev/null
}

install_mesh east 1 10.11.0.0/16 10.96.0.0/16
install_mesh west 2 10.12.0.0/16 10.97.0.0/16

for cluster in "${CLUSTERS[@]}"; do
  say "Waiting for $cluster"
  kubectl --context "$cluster" wait --for=condition=Ready node --all --timeout=180s >/dev/null
  kubectl --context "$cluster" -n mesh-system rollout status deployment/clustermesh-apiserver --timeout=180s >/dev/null
done
say "Ready. Next: $HERE/demo.sh"
printf 'export KUBECONFIG=%q MESH_STORE=%q\n' "$KUBECONFIG" "$MESH_STORE"
