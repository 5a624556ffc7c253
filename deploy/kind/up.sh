#!/usr/bin/env bash
# Creates two kind clusters with the mesh, and one shared etcd; the clusters are not connected yet. Running it again continues where it
# stopped; after a restart of the machine or of the container engine it starts what is stopped, and updates certificates and settings
# of parts whose address changed.
#
#   CONTAINER_CLI     docker or podman; the first of the two that answers
#   KIND_NODE_IMAGE   the nodes' image; kind's own for its version
#   IMAGES_READY      1: existing images of the mesh are not rebuilt
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
no_arguments "$@"
need kind kubectl node tar
find_engine

# What kind and two clusters with their workloads need.
MEMORY_MIB=4096
INOTIFY=80

fit() {
  local free
  [ -f "$ROOT/apps/mesh/dist/main.js" ] || refuse "the checkout is not built. Run: npm ci && npm run build"
  [ -r /sys/kernel/btf/vmlinux ] || refuse "this kernel has no BTF (/sys/kernel/btf/vmlinux), which BPF programs need. Use a kernel with CONFIG_DEBUG_INFO_BTF"
  free=$(($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) / 1024))
  [ "$free" -ge "$MEMORY_MIB" ] || running || refuse "$free MiB of memory are free, and two clusters take $MEMORY_MIB. Free some, or take other clusters down"
  # A kubelet does not start without one, and kind waits for it until its time-out.
  free=$(inotify_free)
  [ "$free" -ge "$INOTIFY" ] || running || refuse "$free inotify instances are free, and two clusters take $INOTIFY. Take other clusters down, or run: sysctl fs.inotify.max_user_instances=512"
}

# inotify_free: prints how many instances this user can still create, as far as it may inspect the processes.
inotify_free() {
  local taken
  taken=$(find /proc -maxdepth 3 -path '/proc/[0-9]*/fd/*' -lname anon_inode:inotify 2>/dev/null | wc -l)
  echo $(($(cat /proc/sys/fs/inotify/max_user_instances) - taken))
}

# running: true if both clusters exist, so that their memory is allocated already.
running() { [ "$(kind get clusters 2>/dev/null | grep -cx 'isthmus-east\|isthmus-west')" = 2 ]; }

make_images() {
  local target
  # kind cannot load an image with attestations from Docker's containerd store.
  export BUILDX_NO_DEFAULT_ATTESTATIONS=1
  for target in runtime:"$IMAGE" demo:"$DEMO_IMAGE" etcd:"$ETCD_IMAGE"; do
    if [ -n "${IMAGES_READY:-}" ] && "$CLI" image inspect "${target#*:}" >/dev/null 2>&1; then continue; fi
    can_build || refuse "$CLI has no buildx, which it needs to build images. Install it (Debian's package docker-buildx, Docker's docker-buildx-plugin)"
    say "Building ${target#*:} (minutes, the first time)"
    build_image "${target%%:*}" "${target#*:}"
  done
}

# make_cluster CLUSTER: creates or starts it, with a context of the short name in the kubeconfig.
make_cluster() {
  local cluster=$1 name node log
  name=$(kind_name "$cluster")
  if kind get clusters 2>/dev/null | grep -x "$name" >/dev/null; then
    kubectl config get-contexts --output=name 2>/dev/null | grep -x "$cluster\|kind-$name" >/dev/null ||
      refuse "there is a kind cluster \"$name\" that $KUBECONFIG does not know: half made, or somebody else's. $HERE/down.sh removes it"
    for node in $(nodes_of "$cluster"); do "$CLI" start "$node" >/dev/null; done
    await_api "$cluster"
  else
    say "Creating cluster $cluster"
    log=$STATE/kind-$cluster.log
    if ! kind create cluster --config "$HERE/cluster-$cluster.yaml" --kubeconfig "$KUBECONFIG" ${KIND_NODE_IMAGE:+--image "$KIND_NODE_IMAGE"} >"$log" 2>&1; then
      tail -n 30 "$log" >&2
      say "Cannot create cluster $cluster; all of what kind said: $log"
      exit 1
    fi
  fi
  if ! kubectl config get-contexts --output=name | grep -x "$cluster" >/dev/null; then
    kubectl config rename-context "kind-$name" "$cluster" >/dev/null
  fi
}

# await_api CLUSTER: waits for the API of a cluster that was started again.
await_api() {
  local tries=0
  until kubectl --context "$1" get --raw /readyz >/dev/null 2>&1 || kubectl --context "kind-$(kind_name "$1")" get --raw /readyz >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 120 ]; then
      say "Cannot reach the API of $1, which was started again two minutes ago; its log: $CLI logs $(kind_name "$1")-control-plane"
      exit 1
    fi
    sleep 1
  done
}

# check_capabilities CLUSTER: an engine older than these capabilities does not grant them to containers, so the agent could not start.
check_capabilities() {
  local node bounding
  node=$(kind_name "$1")-control-plane
  bounding=$("$CLI" exec "$node" grep CapBnd /proc/1/status)
  # CAP_PERFMON is 38, CAP_BPF is 39.
  [ $((0x${bounding##*[[:space:]]} >> 38 & 3)) = 3 ] ||
    refuse "$CLI gives its containers no CAP_BPF or no CAP_PERFMON, which the agent needs. Take Docker 23 or later, or podman; $HERE/down.sh removes what was made"
}

# load_images CLUSTER FOLDER: loads archives, since kind can load images only from Docker directly.
load_images() {
  local archive
  say "Loading the images into $1"
  for archive in "$2"/*; do kind load image-archive --quiet --name "$(kind_name "$1")" "$archive"; done
}

# install_mesh CLUSTER ID POD_CIDR SERVICE_CIDR
install_mesh() {
  local cluster=$1 id=$2 pods=$3 services=$4 dir=$STATE/$1 node pairs=() servers=() admins=()
  local control_plane kubectl=(kubectl --context "$cluster") CHANGED=
  control_plane=$(kind_name "$cluster")-control-plane
  for node in $(nodes_of "$cluster"); do
    pairs+=("$node=$(address_of "$node")")
    servers+=("$(address_of "$node"):7443")
    admins+=("$(address_of "$node"):7444")
  done
  say "Installing the mesh in $cluster"
  node "$HERE/pki.mjs" cluster "$dir" "${pairs[@]}"
  for node in $(nodes_of "$cluster"); do
    copy_files "$dir" "$node" /etc/isthmus/tls --transform "s,^$node\\.,tls.," ca.crt "$node.crt" "$node.key"
  done
  "${kubectl[@]}" apply -k "$ROOT/deploy/base" >/dev/null
  # Those of Cilium, where it is installed, stay.
  "${kubectl[@]}" get -k "$ROOT/deploy/cilium-crds" >/dev/null 2>&1 || "${kubectl[@]}" create -k "$ROOT/deploy/cilium-crds" >/dev/null
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
  # The processes read settings and certificates only at their start, and addresses may have changed.
  [ -z "$CHANGED" ] || "${kubectl[@]}" -n mesh-system rollout restart daemonset/node-agent deployment/clustermesh-apiserver >/dev/null
}

# apply_generated CLUSTER KIND... : applies what `kubectl create` would create; sets CHANGED if it existed and was changed.
apply_generated() {
  local cluster=$1 outcome
  shift
  outcome=$(kubectl --context "$cluster" -n mesh-system create "$@" --dry-run=client -o yaml | kubectl --context "$cluster" apply -f -)
  case $outcome in *configured) CHANGED=1 ;; esac
}

await_cluster() {
  local kubectl=(kubectl --context "$1")
  say "Waiting for $1"
  "${kubectl[@]}" -n mesh-system rollout status daemonset/node-agent --timeout=180s >/dev/null
  "${kubectl[@]}" wait --for=condition=Ready node --all --timeout=180s >/dev/null
  "${kubectl[@]}" -n mesh-system rollout status deployment/clustermesh-apiserver --timeout=180s >/dev/null
}

fit
mkdir -p "$STATE"
chmod 700 "$STATE"
make_images
archives=$(mktemp -d "$STATE/images.XXXXXX")
trap 'rm -rf -- "$archives"' EXIT
"$CLI" save --output "$archives/mesh.tar" "$IMAGE" >/dev/null 2>&1
"$CLI" save --output "$archives/demo.tar" "$DEMO_IMAGE" >/dev/null 2>&1
loads=()
for cluster in "${CLUSTERS[@]}"; do
  make_cluster "$cluster"
  check_capabilities "$cluster"
  load_images "$cluster" "$archives" &
  loads+=($!)
done
for each in "${loads[@]}"; do wait "$each"; done
say "Starting the shared etcd"
ELAPSED=$SECONDS "$HERE/start-store.sh"
install_mesh east 1 10.11.0.0/16 10.96.0.0/16
install_mesh west 2 10.12.0.0/16 10.97.0.0/16
for cluster in "${CLUSTERS[@]}"; do await_cluster "$cluster"; done
say "Ready. Next: $HERE/demo.sh"
printf 'export KUBECONFIG=%q MESH_STORE=%q\n' "$KUBECONFIG" "$MESH_STORE"
