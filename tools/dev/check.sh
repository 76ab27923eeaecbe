# shellcheck shell=bash
# Format, lint and repository rules. Sourced by ./dev.

cpp_files() { repository_files '*.h' '*.cc'; }
shell_files() { printf '%s\n' dev .ci/run && repository_files '*.sh'; }

verb_fmt() {
  steps 2
  install_packages check
  step "Formatting with clang-format-16"
  cpp_files | xargs -r clang-format-16 -i
  say "  done; git diff shows what changed"
}

check_format() {
  local bad
  bad="$(cpp_files | xargs -r clang-format-16 --dry-run --ferror-limit=1 2>&1 |
    sed -n 's/^\([^:]*:[0-9]*\):.*clang-format-violations.*/\1: not formatted, use .\/dev fmt/p')"
  if [ -n "$bad" ]; then
    printf '%s\n' "$bad"
    return 1
  fi
}
check_shell() { shell_files | existing_files | xargs -r shellcheck -x; }

# The .cc files to lint: the changed ones, and those that include a changed header. Tests are left
# to the compiler: GoogleTest's macros trip many checks and double the time.
lintable() { lintable_in_order | sort -u; }
changed_sources() {
  local base file
  base="$(git merge-base HEAD '@{upstream}' 2>/dev/null || git rev-parse HEAD)"
  { git diff --name-only "$base" && git ls-files --others --exclude-standard; } | existing_files |
    while IFS= read -r file; do
      case "$file" in
        *.cc) say "$file" ;;
        src/*.h) git grep -lF --untracked "#include \"${file#src/}\"" -- 'src/*.cc' || true ;;
      esac
    done | { lintable || true; }
}

# Lints the files named on stdin, two or more at a time. clang-tidy needs the generated protobuf
# headers, so those are built first.
run_clang_tidy() {
  local generated
  configure lint || return 1
  generated="$(ninja -C build/lint -t targets all | sed -n 's/^\([^:]*\.pb\.h\):.*/\1/p')"
  if [ -n "$generated" ]; then
    # shellcheck disable=SC2086  # one target a word
    logged lint-generated ninja -C build/lint $generated || return 1
  fi
  xargs -r -n 1 -P "$(jobs)" tools/dev/tidy_one.sh
}

verb_lint() {
  steps 3
  install_packages build
  install_packages check
  local files
  case "${1:-}" in
    --all) files="$(repository_files '*.cc' | lintable)" ;;
    '') files="$(changed_sources)" ;;
    *) files="$(printf '%s\n' "$@")" ;;
  esac
  step "clang-tidy-16 on $(printf '%s' "$files" | grep -c . || true) files"
  printf '%s' "$files" | run_clang_tidy
}

# Runs one part of ./dev check, lets the others go on after a failure.
part() {
  local name="$1"
  shift
  step "$name"
  if "$@"; then return; fi
  FAILED_PARTS+=("$name")
}

verb_check() {
  FAILED_PARTS=()
  steps 6
  install_packages build
  install_packages check
  part "Format (./dev fmt mends it)" check_format
  part "Shell scripts" check_shell
  part "Repository rules" tools/repo_rules
  part "clang-tidy-16 on every source file" lint_all
  if [ "${#FAILED_PARTS[@]}" -gt 0 ]; then
    printf 'dev check failed: %s\n' "${FAILED_PARTS[@]}" >&2
    return 1
  fi
  say "dev check: all parts pass"
}

# All files; in CI those changed last come first, and LINT_SECONDS bound the whole, since clang-tidy
# takes as long as the compiler and CI has an end. What was left out is said.
lint_all() {
  local files left='' result=0
  files="$(newest_first | lintable_in_order)"
  if [ -n "${CI:-}" ]; then
    LINT_UNTIL=$(($(date +%s) + ${LINT_SECONDS:-180}))
    LINT_LEFT_OUT="$(mktemp)"
    export LINT_UNTIL LINT_LEFT_OUT
  fi
  printf '%s\n' "$files" | run_clang_tidy || result=1
  if [ -n "${LINT_LEFT_OUT:-}" ]; then
    left="$(wc -l <"$LINT_LEFT_OUT")"
    rm -f "$LINT_LEFT_OUT"
    say "  linted all but $left of $(printf '%s\n' "$files" | wc -l) files (LINT_SECONDS)"
  fi
  return "$result"
}

# Source files by their last commit, newest first; without a history, as they are listed.
newest_first() {
  { git log --format= --name-only --diff-filter=d 2>/dev/null && repository_files '*.cc'; } |
    existing_files | awk '!seen[$0]++'
}
lintable_in_order() { grep -E '^(src|bench)/.*\.cc$' | grep -v '_test\.cc$'; }
