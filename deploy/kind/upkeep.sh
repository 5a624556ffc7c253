#!/usr/bin/env bash
# Maintenance of the clusters of up.sh under load, after demo.sh: restarts the mesh's workloads, drains and deletes a node, and adds it
# again. Exit code 0 only when no request was lost.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
no_arguments "$@"
need kubectl node
find_engine

kubectl --context "${CLUSTERS[0]}" -n shop get deployment web >/dev/null 2>&1 || refuse "there is no demo in ${CLUSTERS[0]}. Run $HERE/demo.sh first"
exec node "$HERE/upkeep.mjs"
