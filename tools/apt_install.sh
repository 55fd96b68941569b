#!/usr/bin/env bash
# Install Debian packages without a question: apt_install.sh PACKAGE...
#
# Exit status: 0 all are installed; 1 some could not be; 2 we may not install here (no apt-get, or
# neither root nor sudo without a password).
set -euo pipefail

command -v apt-get >/dev/null || exit 2
as_root=(env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 NEEDRESTART_SUSPEND=1)
if [[ $(id -u) -ne 0 ]]; then
    sudo -n true 2>/dev/null || exit 2
    as_root=(sudo -n "${as_root[@]}")
fi
install=("${as_root[@]}" apt-get install --yes --quiet --quiet --no-install-recommends
    --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold
    --option Dpkg::Use-Pty=0 --option DPkg::Lock::Timeout=300)

log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf 'Installing %s\n' "$*"
"${as_root[@]}" apt-get update --quiet --quiet </dev/null >"$log" 2>&1 || true
if "${install[@]}" "$@" </dev/null >>"$log" 2>&1; then
    exit 0
fi

# One that this release does not have must not keep the others away.
status=0
for package in "$@"; do
    if ! "${install[@]}" "$package" </dev/null >"$log" 2>&1; then
        printf 'Could not install %s: %s\n' "$package" "$(grep -m1 '^E:' "$log" || tail -n1 "$log")" >&2
        status=1
    fi
done
exit "$status"
