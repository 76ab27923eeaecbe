#!/usr/bin/env bash
# tidy_one.sh FILE: clang-tidy-16 on one file, silent unless it has something to say.
set -uo pipefail
if output="$(clang-tidy-16 -p build/lint --quiet "$1" 2>&1)"; then
  exit 0
fi
printf '%s\n' "$output" | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed |^Use -header'
exit 1
