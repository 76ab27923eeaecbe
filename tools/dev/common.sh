# shellcheck shell=bash
# Messages, progress and logs of ./dev. Sourced, never run.

# A container's checkout often belongs to another user; git refuses that unless told.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$ROOT"

LOGS="$ROOT/build/logs"
STEP=0
STEPS=0

say() { printf '%s\n' "$*"; }
warn() { printf 'dev: %s\n' "$*" >&2; }
die() {
  warn "$*"
  exit 1
}
usage_error() {
  warn "$1; ./dev help lists the verbs"
  exit 2
}

# steps N: how many `step` lines the verb will print.
steps() {
  STEPS=$1
  STEP=0
}
step() {
  STEP=$((STEP + 1))
  printf '[%d/%d] %s\n' "$STEP" "$STEPS" "$*"
}

# logged NAME COMMAND...: runs COMMAND with its output in build/logs/NAME.log and shows the end of
# that log only if it failed.
logged() {
  local log="$LOGS/$1.log"
  shift
  mkdir -p "$LOGS"
  if "$@" >"$log" 2>&1; then return 0; fi
  warn "failed: $*"
  tail -n 40 "$log" >&2
  warn "the whole output is in ${log#"$ROOT"/}"
  return 1
}

# Parallel jobs: one a core, but 1.5 GiB of memory for each, because files with Beast need that.
jobs() {
  local cores memory_kib by_memory
  if [ -n "${JOBS:-}" ]; then
    printf '%s\n' "$JOBS"
    return
  fi
  cores="$(nproc)"
  memory_kib="$(awk '/^MemAvailable/ {print $2}' /proc/meminfo)"
  by_memory=$((memory_kib / 1572864))
  [ "$by_memory" -ge 1 ] || by_memory=1
  [ "$by_memory" -lt "$cores" ] && cores="$by_memory"
  printf '%s\n' "$cores"
}

# Files that belong to the repository (also the new ones that nobody added yet), by pattern.
repository_files() { git ls-files --cached --others --exclude-standard -- "$@" | existing_files; }
existing_files() {
  local file
  while IFS= read -r file; do
    if [ -f "$file" ]; then printf '%s\n' "$file"; fi
  done
}
