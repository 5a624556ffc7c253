#!/usr/bin/env bash
# Connects the clusters of up.sh, makes one Service global, takes east's replicas away under load, and counts what was lost.
# Exit code 0 only when nothing was. The whole set of faults, with figures, is `make demo` in the lab.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
need kubectl node

mesh connect "${CLUSTERS[@]}"
mesh status --wait --timeout 2m

for cluster in "${CLUSTERS[@]}"; do
  sed "s/CLUSTER_NAME/$cluster/" "$HERE/shop.yaml" | kubectl --context "$cluster" apply -f - >/dev/null
  kubectl --context "$cluster" -n shop scale deployment/web --replicas 3 >/dev/null
done
for cluster in "${CLUSTERS[@]}"; do
  kubectl --context "$cluster" -n shop rollout status deployment/web --timeout=120s >/dev/null
done
mesh service list --context east -n shop --global

target=$(kubectl --context east -n shop get service web -o jsonpath='{.spec.clusterIP}'):80
kubectl --context east -n shop delete pod client --ignore-not-found >/dev/null
kubectl --context east -n shop run client --image "$DEMO_IMAGE" --image-pull-policy Never --restart Never -- \
  load --target "$target" --rate 100 --duration-ms 30000 >/dev/null
kubectl --context east -n shop wait --for=condition=Ready pod/client --timeout=60s >/dev/null

say "Load is running; taking east's replicas away"
kubectl --context east -n shop scale deployment/web --replicas 0 >/dev/null
kubectl --context east -n shop wait --for=jsonpath='{.status.phase}'=Succeeded pod/client --timeout=90s >/dev/null
kubectl --context east -n shop logs client | node "$HERE/summary.mjs"
