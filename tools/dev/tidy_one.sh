#!/usr/bin/env bash
# tidy_one.sh FILE: clang-tidy-16 on one file, silent unless it has something to say.
# Past LINT_UNTIL (seconds since 1970) it only notes the file in LINT_LEFT_OUT.
set -uo pipefail
if [ -n "${LINT_UNTIL:-}" ] && [ "$(date +%s)" -ge "$LINT_UNTIL" ]; then
  printf '%s\n' "$1" >>"$LINT_LEFT_OUT"
  exit 0
fi
if output="$(clang-tidy-16 -p build/lint --quiet "$1" 2>&1)"; then
  exit 0
fi
printf '%s\n' "$output" | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed |^Use -header'
exit 1
