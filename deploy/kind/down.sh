#!/usr/bin/env bash
# Removes what up.sh made: clusters, the shared etcd, certificates. Images stay.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need docker kind

for cluster in "${CLUSTERS[@]}"; do
  kind delete cluster --name "$(kind_name "$cluster")" --kubeconfig "$KUBECONFIG"
done
docker rm --force --volumes "$ETCD" >/dev/null 2>&1 || true
rm -rf -- "$STATE"
