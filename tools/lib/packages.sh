# Sourced by tools/run, tools/test, tools/check and tools/bench: sees to it that packages are there.
#
# need_packages GROUP...: installs what is missing of those groups of tools/packages.txt, saying so first.
# Only apt-get itself runs with more rights than the caller has.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# Is PACKAGE there? dpkg knows; where there is no dpkg its probe has to do.
package_present() {
  local package=$1 probe=$2
  if command -v dpkg-query >/dev/null; then
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ]
    return
  fi
  case $probe in
    cmd:*) command -v "${probe#cmd:}" >/dev/null || [ -x "/usr/sbin/${probe#cmd:}" ] ;;
    pkg:*) pkg-config --exists "${probe#pkg:}" 2>/dev/null ;;
    header:*) [ -e "/usr/include/${probe#header:}" ] || [ -e "/usr/local/include/${probe#header:}" ] ;;
    *) return 1 ;;
  esac
}

missing_packages() {
  local list=$1 groups=" $2 " group package probe
  while read -r group package probe _; do
    case $group in '' | '#'*) continue ;; esac
    case $groups in *" $group "*) ;; *) continue ;; esac
    package_present "$package" "$probe" || printf '%s\n' "$package"
  done < "$list"
}

need_packages() {
  local list missing as_root=()
  list="$(dirname "${BASH_SOURCE[0]}")/../packages.txt"
  missing=$(missing_packages "$list" "$*" | sort -u | tr '\n' ' ')
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null; then
    say "these are missing, and there is no apt-get to install them: $missing"
    say "(names as in Debian 12; install what your system calls them, then run this again)"
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "these are missing: $missing"
      say "run as root: apt-get install --no-install-recommends $missing"
      return 1
    fi
    as_root=(sudo)
  fi
  say "installing with ${as_root[*]:+${as_root[*]} }apt-get: $missing"
  # Both to stderr: stdout belongs to the program that is run afterwards.
  # shellcheck disable=SC2086  # the list is words
  if ! { "${as_root[@]}" apt-get update -q &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends $missing; } >&2; then
    say "apt-get failed; these are still needed: $missing"
    return 1
  fi
}
