#!/usr/bin/env bash
# demo.sh BINARY: a stream evening from examples/evening.jsonl, played through a real engine with a
# data directory of its own, then explained. Leaves nothing behind.
set -euo pipefail

binary="$1"
data="$(mktemp -d -t state-engine-demo.XXXXXX)"
log="$data/serve.log"
engine=''

cleanup() {
  if [ -n "$engine" ]; then
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
  fi
  rm -rf "$data"
}
trap cleanup EXIT

engine_cli() { "$binary" "$1" --data-dir "$data" "${@:2}"; }
heading() { printf '\n--- %s\n' "$*"; }

"$binary" serve --config examples/stream.yaml --data-dir "$data" --listen 127.0.0.1:0 \
  >"$log" 2>"$data/serve.err" &
engine=$!

# Ready means that one line with the URL stands on stdout.
for _ in $(seq 100); do
  if grep -q 'http://' "$log"; then break; fi
  if ! kill -0 "$engine" 2>/dev/null; then break; fi
  sleep 0.1
done
if ! grep -q 'http://' "$log"; then
  echo "demo: the engine did not start:" >&2
  cat "$log" "$data/serve.err" >&2
  exit 1
fi
grep -m 1 'http://' "$log"

heading "An evening of proposals: duplicates, stale versions and forbidden keys are part of it"
# Refused proposals are the point of the evening: 3 = denied and 4 = conflict are no failures here.
status=0
engine_cli propose --jsonl examples/evening.jsonl || status=$?
case "$status" in
  0 | 3 | 4) ;;
  *) exit "$status" ;;
esac

heading "What is true now (state-engine ls)"
engine_cli ls
heading "Who changed stream.state (state-engine history stream.state)"
engine_cli history stream.state
heading "Why (state-engine explain stream.state)"
engine_cli explain stream.state
heading "Is the log intact (state-engine verify, with the engine stopped)"
kill "$engine"
wait "$engine" || true
engine=''
engine_cli verify
