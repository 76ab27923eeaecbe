# shellcheck shell=bash
# Debian 12 packages and Node packages. Sourced by ./dev.
#
# Boost by its full name only: the unversioned libboost-*-dev packages are 1.74 and conflict.

PACKAGES_BUILD=(
  g++ cmake ninja-build ccache mold make pkg-config git ca-certificates
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  libssl-dev libsqlite3-dev sqlite3
  libprotobuf-dev protobuf-compiler libgrpc++-dev protobuf-compiler-grpc
  libfmt-dev libspdlog-dev libyaml-cpp-dev libcli11-dev libvalijson-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev libbenchmark-dev libnats-dev libjemalloc-dev
)
PACKAGES_CHECK=(
  clang-format-16 clang-tidy-16 shellcheck
  python3 curl jq procps util-linux openssl nginx-light wrk valgrind clang-14 nats-server
  default-jre-headless
  obs-studio xvfb libnginx-mod-rtmp
)
# What ./dev bench compares with; no test needs them.
PACKAGES_BENCH=(redis-server postgresql)
# Not in Debian itself: installed where apt knows it, its tests say SKIP elsewhere.
PACKAGES_CHECK_IF_KNOWN=(google-cloud-cli-firestore-emulator)

# missing_packages NAME...: those that dpkg does not know as installed.
missing_packages() {
  local installed name
  # dpkg-query fails when it does not know one of the names, and still lists the others.
  installed="$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true)"
  installed=" $(sed -n 's/^ii *//p' <<<"$installed" | tr '\n' ' ') "
  for name in "$@"; do
    case "$installed" in
      *" $name "*) ;;
      *) printf '%s\n' "$name" ;;
    esac
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

apt_update() { logged apt-update as_root apt-get update -q; }
apt_install() {
  logged apt-install as_root apt-get install -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@"
}

# install_packages build|check|bench: installs what is missing of that group and says what it does.
install_packages() {
  local wanted missing name
  case "$1" in
    build)
      wanted=("${PACKAGES_BUILD[@]}")
      firestore_protos_installed || command -v npm >/dev/null || wanted+=(nodejs npm)
      ;;
    bench) wanted=("${PACKAGES_BENCH[@]}") ;;
    check)
      wanted=("${PACKAGES_CHECK[@]}")
      for name in "${PACKAGES_CHECK_IF_KNOWN[@]}"; do
        if [ -n "$(missing_packages "$name")" ] && ! apt_knows "$name"; then
          warn "apt does not know $name here; the tests that need it will say SKIP"
        else
          wanted+=("$name")
        fi
      done
      # Another Node (a version manager, a vendor's package) is fine: tests bring their own binary.
      command -v npm >/dev/null || wanted+=(nodejs npm)
      ;;
  esac
  command -v dpkg-query >/dev/null ||
    die "this is not Debian: install the counterparts of: ${wanted[*]}"
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if [ "${#missing[@]}" -eq 0 ]; then
    step "Packages to $1: all ${#wanted[@]} are installed"
    if [ "$1" = build ]; then install_firestore_protos; fi
    return
  fi
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "packages are missing and there is no sudo; as root: apt-get install ${missing[*]}"
  fi
  step "Packages to $1: installing ${#missing[@]} with apt-get: ${missing[*]}"
  if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then apt_update; fi
  apt_install "${missing[@]}" || {
    warn "trying once more with fresh package lists"
    apt_update
    apt_install "${missing[@]}"
  }
  if [ "$1" = build ]; then install_firestore_protos; fi
}

apt_knows() { apt-cache show "$1" >/dev/null 2>&1; }

# The interface definitions of Firestore, pinned in cmake/firestore_protos; only data, no program.
FIRESTORE_PROTOS=cmake/firestore_protos
firestore_protos_installed() {
  local stamp="$FIRESTORE_PROTOS/node_modules/.package-lock.json"
  [ "$stamp" -nt "$FIRESTORE_PROTOS/package-lock.json" ]
}
install_firestore_protos() {
  if firestore_protos_installed; then return; fi
  say "  Firestore's interface definitions: npm ci in $FIRESTORE_PROTOS"
  logged npm-ci-protos npm ci --prefix "$FIRESTORE_PROTOS" --ignore-scripts --no-progress
  touch "$FIRESTORE_PROTOS/node_modules/.package-lock.json"
}

# The MCP clients, the TypeScript compiler and the Node binary that tests use, all pinned.
install_node_packages() {
  local stamp=tests/node/node_modules/.package-lock.json
  if [ "$stamp" -nt tests/node/package-lock.json ] && [ "$stamp" -nt tests/node/package.json ]; then
    step "Node packages: up to date"
    return
  fi
  step "Node packages: npm ci in tests/node"
  logged npm-ci npm ci --prefix tests/node --ignore-scripts --no-progress
}
