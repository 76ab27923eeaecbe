#!/usr/bin/env bash
# run_client.sh NODE SCRIPT [ARGS]: runs a client test; without the pinned Node: SKIP, exit code 77.
set -euo pipefail
node="${STATE_ENGINE_NODE:-$1}"
if [ ! -x "$node" ]; then
  echo "SKIP: missing $node; ./dev test installs the Node packages" >&2
  exit 77
fi
script="$2"
shift 2
exec "$node" "$script" "$@"
