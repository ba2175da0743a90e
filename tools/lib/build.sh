# Sourced after packages.sh: configures and builds one directory, under a lock, output to stderr.
#
# build_tree DIR TARGETS -- CMAKE_ARGS...   TARGETS is "all", or names with spaces between.
# A tree that is configured already keeps its cache: what somebody set there by hand stays.

build_tree() (
  local dir=$1 targets=$2 generator=() args=()
  shift 3
  mkdir -p "$dir" || exit 1
  # In a subshell and closed with it: the program that is run later must not hold the lock.
  exec 9> "$dir/.lock" || exit 1
  if ! flock -n 9; then
    say "another build is at work in $dir; waiting for it"
    flock 9
  fi
  if [ ! -e "$dir/build.ninja" ] && [ ! -e "$dir/Makefile" ]; then
    if command -v ninja >/dev/null; then generator=(-G Ninja); else generator=(-G "Unix Makefiles"); fi
    say "configuring $dir"
    cmake -S . -B "$dir" "${generator[@]}" "$@" >&2 9>&- || exit 1
  fi
  [ "$targets" = all ] || args=(--target $targets)
  if [ -e "$dir/build.ninja" ] && ninja -C "$dir" -n ${args[@]:+$targets} 2>/dev/null 9>&- |
    grep -q 'no work to do'; then
    exit 0
  fi
  say "building in $dir"
  cmake --build "$dir" -j "$(nproc)" "${args[@]}" >&2 9>&-
)
