#!/usr/bin/env bash
# Simulates a restart of the container engine for the clusters of up.sh: every container ends at once and starts again in another
# order, so that addresses change. Then up.sh repairs them, and the demo's first fault verifies that.
# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
no_arguments "$@"
need kind kubectl node
find_engine

[ -f "$MESH_STORE" ] || refuse "there are no clusters. Run $HERE/up.sh first"
mapfile -t containers < <(echo "$MESH_ETCD"; for cluster in "${CLUSTERS[@]}"; do nodes_of "$cluster"; done)
addresses() { for each in "${containers[@]}"; do echo "$each $(address_of "$each")"; done; }

before=$(addresses)
say "Killing ${#containers[@]} containers"
"$CLI" kill "${containers[@]}" >/dev/null
for ((i = ${#containers[@]} - 1; i >= 0; i--)); do "$CLI" start "${containers[$i]}" >/dev/null; done
say "$(comm -13 <(sort <<<"$before") <(addresses | sort) | grep -c .) of ${#containers[@]} have another address now"
ELAPSED=$SECONDS "$HERE/up.sh" >/dev/null
exec "$HERE/demo.sh" --faults scale-down
