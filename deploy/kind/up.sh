#!/usr/bin/env bash
# Two kind clusters with the mesh in them, and one shared etcd, not yet connected. Running it again goes on where it stopped.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need docker kind kubectl node

[ -f "$ROOT/apps/mesh/dist/main.js" ] || { say "Cannot go on: the checkout is not built. Run: npm ci && npm run build"; exit 2; }
mkdir -p "$STATE"
chmod 700 "$STATE"

say "Building images"
for target in runtime:"$IMAGE" demo:"$DEMO_IMAGE" etcd:isthmus-etcd:dev; do
  docker build --quiet --file "$HERE/Dockerfile" --target "${target%%:*}" --tag "${target#*:}" "$ROOT" >/dev/null
done

for cluster in "${CLUSTERS[@]}"; do
  if ! kind get clusters 2>/dev/null | grep -qx "$cluster"; then
    say "Creating cluster $cluster"
    kind create cluster --config "$HERE/cluster-$cluster.yaml" --kubeconfig "$KUBECONFIG"
    kubectl config rename-context "kind-$cluster" "$cluster" >/dev/null
  fi
  kind load docker-image --name "$cluster" "$IMAGE" "$DEMO_IMAGE"
done

# An empty store lets anyone write: it gets its users before it joins the network.
start_store() {
  local address=$1
  docker create --name "$ETCD" --network none --restart unless-stopped isthmus-etcd:dev \
    etcd --name mesh --data-dir /var/lib/etcd \
    --listen-client-urls https://0.0.0.0:2379 --advertise-client-urls "https://$address:2379" \
    --client-cert-auth --trusted-ca-file /pki/ca.crt --cert-file /pki/server.crt --key-file /pki/server.key >/dev/null
  # The CA's key stays here.
  tar -C "$STATE/store" -c ca.crt server.crt server.key root.crt root.key --transform 's,^,pki/,' | docker cp --quiet - "$ETCD:/"
  docker start "$ETCD" >/dev/null
  local etcdctl=(docker exec "$ETCD" etcdctl --endpoints https://127.0.0.1:2379
    --cacert /pki/ca.crt --cert /pki/root.crt --key /pki/root.key)
  local tries=0
  until "${etcdctl[@]}" endpoint health >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { say "Cannot start the store; its log: docker logs $ETCD"; exit 1; }
    sleep 0.5
  done
  "${etcdctl[@]}" user add root --no-password >/dev/null
  "${etcdctl[@]}" user grant-role root root >/dev/null
  "${etcdctl[@]}" auth enable >/dev/null
  docker network disconnect none "$ETCD"
  docker network connect --ip "$address" kind "$ETCD"
}

if ! docker inspect "$ETCD" >/dev/null 2>&1; then
  say "Starting the shared etcd"
  # A fixed address at the end of the network, so that its certificate can name it beforehand.
  subnet=$(docker network inspect kind --format '{{range .IPAM.Config}}{{.Subnet}} {{end}}' | tr ' ' '\n' | grep -v : | head -n 1)
  address=${subnet%.*.*}.255.250
  node "$HERE/pki.mjs" store "$STATE/store" "$address"
  start_store "$address"
fi

# install CLUSTER ID POD_CIDR SERVICE_CIDR
install_mesh() {
  local cluster=$1 id=$2 pods=$3 services=$4 dir=$STATE/$1 node pairs=() servers=() admins=()
  local control_plane=$cluster-control-plane kubectl=(kubectl --context "$cluster")
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
