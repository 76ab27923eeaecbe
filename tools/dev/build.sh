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

# A benchmark is an executable file bench/NAME or bench/NAME.py, or the CMake target bench_NAME.
list_benchmarks() {
  local file
  say "Benchmarks (./dev bench NAME):"
  for file in bench/*; do
    if [ -f "$file" ] && [ -x "$file" ]; then
      file="${file##*/}"
      say "  ${file%.py}"
    fi
  done
  sed -n 's/^ *\(add_executable\|se_bench\)(bench_\([a-z_0-9]*\).*/  \2/p' bench/CMakeLists.txt
}

run_benchmark() {
  local name="$1" file
  shift
  configure release
  for file in "bench/$name" "bench/$name.py"; do
    if [ -f "$file" ] && [ -x "$file" ]; then
      build_binary release
      STATE_ENGINE_BIN="$ROOT/build/release/bin/state-engine" exec "$file" "$@"
    fi
  done
  if [ -z "$(targets release "bench_$name")" ]; then
    list_benchmarks >&2
    die "there is no benchmark \"$name\""
  fi
  step "Building and running bench_$name"
  compile release "bench_$name"
  file="$(find build/release -type f -name "bench_$name" -perm -u+x -print -quit)"
  exec "$file" "$@"
}
