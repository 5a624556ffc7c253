# shellcheck shell=bash disable=SC2034
# (Names are used by those who source this.)
# Sourced by the scripts beside it: names, folders, and what all of them need.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/isthmus/kind
CLUSTERS=(east west)
# With a registry's name each, which nobody asks: a short one means other things to Docker and to podman.
IMAGE=lab.isthmus.io/mesh:dev
ETCD_IMAGE=lab.isthmus.io/etcd:dev
DEMO_IMAGE=lab.isthmus.io/demo:1
export KUBECONFIG=$STATE/kubeconfig MESH_STORE=$STATE/store/store.json MESH_ETCD=isthmus-mesh-etcd

# One script of these may start another.
SECONDS=${ELAPSED:-0}
say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }

# refuse SENTENCE: what is missing and the way out; exit code 2.
refuse() {
  printf 'Cannot go on: %s\n' "$*" >&2
  exit 2
}

# need PROGRAM...
need() {
  local program
  for program; do
    command -v "$program" >/dev/null || refuse "\"$program\" is not installed"
  done
}

# find_engine: CLI is the container engine's program, $CONTAINER_CLI or the first of docker and podman that answers.
find_engine() {
  local each tried=()
  for each in ${CONTAINER_CLI:-docker podman}; do
    command -v "$each" >/dev/null || continue
    tried+=("$each")
    "$each" info >/dev/null 2>&1 || continue
    CLI=$each
    # For the demo.
    export CONTAINER_CLI=$each
    ! is_podman || use_podman
    return
  done
  [ "${#tried[@]}" -gt 0 ] || refuse "\"${CONTAINER_CLI:-docker}\" is not installed. Install Docker or podman, or name one in CONTAINER_CLI"
  refuse "no answer from ${tried[*]}. Start it, and run this as a user who may use it (\"${tried[0]} info\" says why)"
}

# is_podman: also by the name of docker, as Debian's podman-docker has it.
is_podman() { "$CLI" --version | grep -i podman >/dev/null; }

# use_podman: kind asks for Docker unless told otherwise.
use_podman() {
  [ "$("$CLI" info --format '{{.Host.Security.Rootless}}')" = false ] || refuse "podman without root cannot run nodes that load BPF programs. Run this as root: sudo -E $0"
  export KIND_EXPERIMENTAL_PROVIDER=podman
}

# build_image TARGET TAG: of the Dockerfile beside this.
build_image() {
  local options=()
  # BuildKit finds it by its name, and is not the default before Docker 23.
  ! is_podman || options=(--ignorefile "$HERE/Dockerfile.dockerignore")
  DOCKER_BUILDKIT=1 "$CLI" build --quiet "${options[@]}" --file "$HERE/Dockerfile" --target "$1" --tag "$2" "$ROOT" >/dev/null
}

# copy_files FOLDER CONTAINER TARGET FILE...: in a folder that only the container's user may enter.
copy_files() {
  local folder=$1 container=$2 target=$3
  shift 3
  "$CLI" exec "$container" mkdir -p -m 0700 "$target"
  tar -C "$folder" --owner 0 --group 0 -c "$@" | "$CLI" exec -i "$container" tar -C "$target" -x
}

# mesh ARGUMENTS...: the CLI of this checkout.
mesh() { node "$ROOT/apps/mesh/bin/mesh.js" "$@"; }

# kind_name CLUSTER: what kind calls it; contexts have the short name. Somebody's own kind cluster "east" is not ours.
kind_name() { printf 'isthmus-%s' "$1"; }

# nodes_of CLUSTER: names of its containers, the control plane first.
nodes_of() { kind get nodes --name "$(kind_name "$1")" 2>/dev/null | sort; }

# address_of CONTAINER: its IPv4 address in the network "kind".
address_of() {
  "$CLI" inspect --format '{{with index .NetworkSettings.Networks "kind"}}{{.IPAddress}}{{end}}' "$1"
}
