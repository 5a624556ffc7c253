#!/usr/bin/env bash
# Removes what up.sh created, also if incomplete: clusters, the shared etcd, certificates. Images stay.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
no_arguments "$@"
need kind
find_engine

for cluster in "${CLUSTERS[@]}"; do
  name=$(kind_name "$cluster")
  mapfile -t nodes < <(nodes_of "$cluster")
  [ "${#nodes[@]}" -gt 0 ] || continue
  say "Removing cluster $cluster"
  # podman would wait ten seconds for each to exit.
  "$CLI" kill "${nodes[@]}" >/dev/null 2>&1 || true
  kind delete cluster --quiet --name "$name" --kubeconfig "$KUBECONFIG"
done
"$CLI" rm --force --volumes "$MESH_ETCD" >/dev/null 2>&1 || true
rm -rf -- "$STATE"
say "Removed. Images stay"
