#!/usr/bin/env bash
# Make a disk with the distribution's own system and cloud-init, as clouds have it, for the tests of tests/boot.
#
# It is made once, below .cache, from packages alone: a partition with the boot loader, kernel and initial RAM disk, and
# one with the system. No root file system is mounted for it.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/.."
PATH="$PATH:/usr/sbin:/sbin"

readonly disk=.cache/boot/debian.qcow2
[[ ! -e $disk ]] || exit 0
for program in mmdebstrap genext2fs resize2fs mkfs.fat mcopy syslinux sfdisk qemu-img; do
    if ! command -v "$program" >/dev/null; then
        printf 'There is no %s, so no disk can be made to boot from.\n' "$program" >&2
        exit 0
    fi
done

# What cloud images of the distribution have, and not much more.
readonly packages=systemd-sysv,linux-image-cloud-amd64,cloud-init,ifupdown,isc-dhcp-client,openssh-server,iproute2
readonly mib=$((1 << 20)) boot_mib=96 free_mib=256

printf 'Making a disk to boot from; this takes a minute\n'
mkdir -p .cache/boot
work=$(mktemp -d "$PWD/.cache/boot/make.XXXXXX")
trap 'rm -rf "$work"' EXIT
codename=$(. /etc/os-release && printf %s "$VERSION_CODENAME")
if ! mmdebstrap --quiet --variant=minbase --format=ext2 --include=$packages \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --customize-hook="copy-out /boot $work" \
    --customize-hook='echo "locale: C.UTF-8" >"$1/etc/cloud/cloud.cfg.d/10_locale.cfg"' \
    "$codename" "$work/root" </dev/null >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    exit 0
fi

size=$(($(stat --format=%s "$work/root") / mib + free_mib))
truncate --size=${size}M "$work/root"
resize2fs "$work/root" >/dev/null 2>&1
e2label "$work/root" root

printf '%s\n' 'DEFAULT linux' 'PROMPT 0' 'LABEL linux' '  KERNEL vmlinuz' \
    '  APPEND initrd=initrd.img root=LABEL=root rw console=ttyS0,115200 net.ifnames=0' >"$work/syslinux.cfg"
truncate --size=${boot_mib}M "$work/boot.fat"
mkfs.fat -n BOOT "$work/boot.fat" >/dev/null
syslinux --install "$work/boot.fat"
mcopy -i "$work/boot.fat" "$work/syslinux.cfg" ::syslinux.cfg
mcopy -i "$work/boot.fat" "$work"/boot/vmlinuz-* ::vmlinuz
mcopy -i "$work/boot.fat" "$work"/boot/initrd.img-* ::initrd.img

truncate --size=$((1 + boot_mib + size + 1))M "$work/disk"
sfdisk --quiet "$work/disk" <<TABLE
label: dos
start=1MiB, size=${boot_mib}MiB, type=c, bootable
start=$((1 + boot_mib))MiB, size=${size}MiB, type=83
TABLE
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$work/disk" bs=440 count=1 conv=notrunc status=none
dd if="$work/boot.fat" of="$work/disk" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/root" of="$work/disk" bs=1M seek=$((1 + boot_mib)) conv=notrunc,sparse status=none
qemu-img convert -q -f raw -O qcow2 "$work/disk" "$work/disk.qcow2"
mv "$work/disk.qcow2" "$disk"
