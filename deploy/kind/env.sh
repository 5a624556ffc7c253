# shellcheck shell=bash disable=SC2034
# (Names are used by those who source this.)
# Sourced by the scripts beside it: names, folders, and what all of them need.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/isthmus/kind
CLUSTERS=(east west)
ETCD=isthmus-mesh-etcd
IMAGE=isthmus:dev
ETCD_IMAGE=isthmus-etcd:dev
DEMO_IMAGE=lab.isthmus.io/demo:1
export KUBECONFIG=$STATE/kubeconfig MESH_STORE=$STATE/store/store.json

say() { printf '%s\n' "$*" >&2; }

# need PROGRAM...: one sentence and exit code 2 when one is missing.
need() {
  local program
  for program; do
    command -v "$program" >/dev/null || { say "Cannot go on: \"$program\" is not installed"; exit 2; }
  done
}

# mesh ARGUMENTS...: the CLI of this checkout.
mesh() { node "$ROOT/apps/mesh/bin/mesh.js" "$@"; }

# kind_name CLUSTER: what kind calls it; contexts have the short name. Somebody's own kind cluster "east" is not ours.
kind_name() { printf 'isthmus-%s' "$1"; }

# nodes_of CLUSTER: names of its containers, the control plane first.
nodes_of() { kind get nodes --name "$(kind_name "$1")" 2>/dev/null | sort; }

# address_of CONTAINER: its IPv4 address in the network "kind".
address_of() {
  docker inspect --format '{{with index .NetworkSettings.Networks "kind"}}{{.IPAddress}}{{end}}' "$1"
}
