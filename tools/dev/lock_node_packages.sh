#!/usr/bin/env bash
# Writes tests/node/package-lock.json from package.json, with hashes but without any address: a
# lock file with addresses would tie everybody to the registry mirror of whoever wrote it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../tests/node"

npm install --package-lock-only --ignore-scripts --no-progress
plain="$(jq 'del(.packages[].funding, .packages[].resolved)' package-lock.json)"
printf '%s\n' "$plain" >package-lock.json
echo "tests/node/package-lock.json is written; ./dev test installs from it."
