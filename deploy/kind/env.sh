# shellcheck shell=bash disable=SC2034
# (The variables are used by the scripts that source this file.)
# Sourced by the scripts in this folder: names, paths, and common functions.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/isthmus/kind
CLUSTERS=(east west)
# Each has a registry's name, which is never contacted: Docker and podman expand short names differently.
IMAGE=lab.isthmus.io/mesh:dev
ETCD_IMAGE=lab.isthmus.io/etcd:dev
DEMO_IMAGE=lab.isthmus.io/demo:1
export KUBECONFIG=$STATE/kubeconfig MESH_STORE=$STATE/store/store.json MESH_ETCD=isthmus-mesh-etcd

# A script may start another one, whose clock continues.
SECONDS=${ELAPSED:-0}
say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }

# refuse SENTENCE: prints what is missing and what to do; exit code 2.
refuse() {
  printf 'Cannot go on: %s\n' "$*" >&2
  exit 2
}

# no_arguments ARGUMENT...: refuses every argument of a script that has none. An option that is ignored would be taken for obeyed.
no_arguments() { [ "$#" = 0 ] || refuse "$(basename "$0") takes no arguments, and was given \"$*\". Run it without"; }

# need PROGRAM...
need() {
  local program
  for program; do
    command -v "$program" >/dev/null || refuse "\"$program\" is not installed"
  done
}

# find_engine: sets CLI to the container engine's program: $CONTAINER_CLI, or the first of docker and podman that answers.
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

# is_podman: true also for podman with the name docker, as in Debian's podman-docker.
is_podman() { "$CLI" --version | grep -i podman >/dev/null; }

# use_podman: makes kind use podman instead of Docker, its default.
use_podman() {
  [ "$("$CLI" info --format '{{.Host.Security.Rootless}}')" = false ] || refuse "podman without root cannot run nodes that load BPF programs. Run this as root: sudo -E $0"
  export KIND_EXPERIMENTAL_PROVIDER=podman
}

# can_build: true if the engine can build the Dockerfile; Docker 23 and later use BuildKit only through a plugin with a package of its own.
can_build() { is_podman || "$CLI" buildx version >/dev/null 2>&1; }

# build_image TARGET TAG: builds a target of the Dockerfile in this folder.
build_image() {
  local options=()
  # BuildKit finds Dockerfile.dockerignore by its name; it is not the default before Docker 23.
  ! is_podman || options=(--ignorefile "$HERE/Dockerfile.dockerignore")
  DOCKER_BUILDKIT=1 "$CLI" build --quiet "${options[@]}" --file "$HERE/Dockerfile" --target "$1" --tag "$2" "$ROOT" >/dev/null
}

# copy_files FOLDER CONTAINER TARGET FILE...: copies files into a folder that only the container's user may enter.
copy_files() {
  local folder=$1 container=$2 target=$3
  shift 3
  "$CLI" exec "$container" mkdir -p -m 0700 "$target"
  tar -C "$folder" --owner 0 --group 0 -c "$@" | "$CLI" exec -i "$container" tar -C "$target" -x
}

# mesh ARGUMENTS...: runs the CLI of this checkout.
mesh() { node "$ROOT/apps/mesh/bin/mesh.js" "$@"; }

# kind_name CLUSTER: prints its name in kind, which differs from a cluster "east" of the user; contexts have the short name.
kind_name() { printf 'isthmus-%s' "$1"; }

# nodes_of CLUSTER: prints the names of its containers, the control plane first.
nodes_of() { kind get nodes --name "$(kind_name "$1")" 2>/dev/null | sort; }

# address_of CONTAINER: prints its IPv4 address in the network "kind".
address_of() {
  "$CLI" inspect --format '{{with index .NetworkSettings.Networks "kind"}}{{.IPAddress}}{{end}}' "$1"
}
