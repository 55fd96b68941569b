#!/usr/bin/env bash
# Install what the tests of tests/boot need from the distribution, as far as it is missing: a machine (QEMU), what makes
# a disk for it, and what looks into one (libguestfs, which boots a kernel of the distribution).
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."
PATH="$PATH:/usr/sbin:/sbin"

missing=()
need() { # need PACKAGE PROGRAM
    command -v "$2" >/dev/null || missing+=("$1")
}

need qemu-system-x86 qemu-system-x86_64
need qemu-utils qemu-img
need mmdebstrap mmdebstrap
need genext2fs genext2fs
need e2fsprogs resize2fs
need dosfstools mkfs.fat
need mtools mcopy
need fdisk sfdisk
need syslinux syslinux
[[ -e /usr/lib/syslinux/mbr/mbr.bin ]] || missing+=(syslinux-common)
/usr/bin/python3 -I -c 'import guestfs' 2>/dev/null || missing+=(python3-guestfs)
compgen -G '/boot/vmlinuz-*' >/dev/null || missing+=(linux-image-cloud-amd64)
[[ ${#missing[@]} -gt 0 ]] || exit 0

status=0
tools/apt_install.sh "${missing[@]}" || status=$?
if [[ $status -ne 0 ]]; then
    printf '\nThe tests of tests/boot cannot run without these. To install them:\n\n    sudo apt-get install --no-install-recommends %s\n\n' \
        "${missing[*]}" >&2
fi
