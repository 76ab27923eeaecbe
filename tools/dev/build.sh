# shellcheck shell=bash
# Configuring and building by preset, and the benchmarks. Sourced by ./dev.

# configure PRESET: makes build/PRESET/build.ninja when it is missing or older than the presets.
configure() {
  local ninja="build/$1/build.ninja"
  case "$1" in
    release | dev | tsan | lint | fuzz) ;;
    *) usage_error "unknown preset \"$1\" (release, dev, tsan, lint, fuzz)" ;;
  esac
  if [ "$ninja" -nt CMakePresets.json ]; then return 0; fi
  logged "configure-$1" cmake --preset "$1"
}

# compile PRESET [TARGETS]
compile() {
  local preset="$1"
  shift
  configure "$preset" || return 1
  NINJA_STATUS='  [%f/%t, %es] ' ninja -C "build/$preset" -j "$(jobs)" "$@"
}

build_binary() {
  local preset="$1"
  shift
  step "Building state-engine ($preset); the first time takes minutes"
  compile "$preset" state-engine "$@"
  say "  build/$preset/bin/state-engine"
}

# targets PRESET REGEX: the ninja targets whose whole name matches.
targets() {
  ninja -C "build/$1" -t targets all | sed -n 's/: phony$//p' | { grep -Ex "$2" || true; }
}

# The C++ parts of benchmarks, as targets of the release build, which is configured.
bench_parts() { targets release 'bench_[a-z_0-9]+' | tr '\n' ' '; }

# A benchmark is an executable file bench/NAME.py; its C++ parts are the CMake targets
# bench_NAME..., which can also be run alone.
list_benchmarks() {
  local file
  say "Benchmarks (./dev bench NAME; ./dev bench runs all of them):"
  for file in bench/*.py; do
    if [ -x "$file" ]; then
      printf '  %-14s %s\n' "$(basename "$file" .py)" "$(sed -n '2s/^"""//p' "$file")"
    fi
  done
  say "Parts in C++:"
  sed -n 's/^ *add_executable(bench_\([a-z_0-9]*\).*/  \1/p' bench/CMakeLists.txt
}

# Packages, the engine and all C++ parts. STATE_ENGINE_BIN names another engine to measure.
prepare_benchmarks() {
  install_packages build
  install_packages check
  install_packages bench
  install_node_packages
  step "Building the engine and the parts of benchmarks (release)"
  configure release
  local parts
  parts="$(bench_parts)"
  if [ -n "${STATE_ENGINE_BIN:-}" ]; then
    say "  measuring $STATE_ENGINE_BIN"
    # shellcheck disable=SC2086  # one target a word
    compile release $parts
  else
    # shellcheck disable=SC2086  # one target a word
    compile release state-engine $parts
    export STATE_ENGINE_BIN="$ROOT/build/release/bin/state-engine"
  fi
}

run_suite() { exec tools/dev/bench_suite.py "$@"; }

run_benchmark() {
  local name="$1" file
  shift
  if [ -x "bench/$name.py" ]; then exec "bench/$name.py" "$@"; fi
  file="$(find build/release -type f -name "bench_$name" -perm -u+x -print -quit)"
  if [ -z "$file" ]; then
    list_benchmarks >&2
    die "there is no benchmark \"$name\""
  fi
  exec "$file" "$@"
}
