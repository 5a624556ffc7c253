#!/usr/bin/env bash
# The demo on the clusters of up.sh: connects them, makes one Service global, and injects seven faults under load, as `make demo` does
# in the lab: demo.sh [--faults NAME,NAME...] [--out DIR]. Exit code 0 only when every request was answered as it should be.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need kind kubectl node
find_engine

[ -f "$MESH_STORE" ] || refuse "there are no clusters. Run $HERE/up.sh first"
[ "$(id -u)" = 0 ] || refuse "the demo reads the BPF maps of nodes. Run it as root: sudo -E $0"
# Starts the parts that an interrupted demo left down.
"$HERE/start-store.sh"
kubectl --context "${CLUSTERS[0]}" -n mesh-system scale deployment/clustermesh-apiserver --replicas 1 >/dev/null
exec node "$ROOT/rig/demo/dist/main.js" --kind "$@"
