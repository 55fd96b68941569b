#!/usr/bin/env bash
# Install Ceph from the distribution, as far as it is missing: one monitor, manager, OSD and RADOS Gateway for the tests
# of tests/ceph, and the Python modules for it.
#
# Nothing that is installed here starts by itself: its services are masked where systemd runs, unless Ceph was here before.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."
PATH="$PATH:/usr/sbin:/sbin"

missing=()
need() { # need PACKAGE PROGRAM
    command -v "$2" >/dev/null || missing+=("$1")
}

# Whatever Python it is: they are built for the distribution's.
has_module() {
    compgen -G "/usr/lib/python3*/*-packages/$1.*.so" || compgen -G "/usr/lib64/python3*/*-packages/$1.*.so"
} >/dev/null

need ceph-mon ceph-mon
need ceph-mgr ceph-mgr
need ceph-osd ceph-osd
need ceph-common ceph
need radosgw radosgw
has_module rados || missing+=(python3-rados)
has_module rbd || missing+=(python3-rbd)
[[ ${#missing[@]} -gt 0 ]] || exit 0

if ! command -v ceph-osd >/dev/null && [[ -d /run/systemd/system ]] && command -v apt-get >/dev/null; then
    as_root=()
    [[ $(id -u) -eq 0 ]] || as_root=(sudo -n)
    units=(ceph.target ceph-crash.service rbdmap.service)
    command -v smartctl >/dev/null || units+=(smartmontools.service) # comes with the OSD
    if "${as_root[@]}" systemctl mask --quiet "${units[@]}" 2>/dev/null; then
        printf 'Masked %s; systemctl unmask gives them back.\n' "${units[*]}"
    fi
fi

status=0
tools/apt_install.sh "${missing[@]}" || status=$?
if [[ $status -ne 0 ]]; then
    printf '\nThe tests of tests/ceph cannot run without these. To install them:\n\n    sudo apt-get install --no-install-recommends %s\n\n' \
        "${missing[*]}" >&2
fi
