"""What ``inside.py`` is asked for, and the form of what it answers, which is as hostile as the disk."""

from __future__ import annotations

from typing import Final

import msgspec

from headwater.images.preparing.model import Account

# Files whose text is read; patterns as a shell has them, in the system that is mounted.
TEXTS: Final = (
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/fstab",
    "/etc/machine-id",
    "/var/lib/dbus/machine-id",
    "/etc/selinux/config",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/*.conf",
    "/etc/default/grub",
    "/etc/default/grub.d/*.cfg",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/boot/grub/menu.lst",
    "/boot/loader/entries/*.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/etc/kernel/cmdline",
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d/*.cfg",
    "/etc/cloud/ds-identify.cfg",
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "/etc/netplan/*.yaml",
    "/etc/sysconfig/network-scripts/ifcfg-*",
    "/etc/sysconfig/network/ifcfg-*",
    "/etc/NetworkManager/system-connections/*",
    "/etc/systemd/network/*",
)
# What is there or not.
PRESENT: Final = (
    "/usr/bin/cloud-init",
    "/usr/local/bin/cloud-init",
    "/usr/lib/python3*/*-packages/cloud_init-*",
    "/etc/cloud/cloud-init.disabled",
    "/var/lib/cloud/*",
    "/usr/sbin/sshd",
    "/etc/ssh/ssh_host_*",
    "/usr/lib/systemd/system/sshd-keygen*",
    "/lib/systemd/system/sshd-keygen*",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/etc/udev/rules.d/*-persistent-net*.rules",
    "/usr/bin/growpart",
    "/usr/share/initramfs-tools/scripts/local-bottom/growroot",
    "/usr/sbin/qemu-ga",
    "/usr/bin/qemu-ga",
    "/var/lib/dbus/machine-id",
    # Windows, whose names libguestfs finds as they are written mostly.
    "/Windows/System32/drivers/viostor.sys",
    "/Windows/System32/drivers/vioscsi.sys",
    "/Windows/System32/drivers/netkvm.sys",
    "/Program Files/Cloudbase Solutions/Cloudbase-Init",
    "/Program Files/Qemu-ga/qemu-ga.exe",
)
# What tells of boot loaders, on each file system by itself: patterns, and the loader whose they are.
LOADERS: Final = {
    "/boot/grub/grub.cfg": "grub",
    "/boot/grub2/grub.cfg": "grub",
    "/grub/grub.cfg": "grub",
    "/grub2/grub.cfg": "grub",
    "/boot/grub/menu.lst": "grub-legacy",
    "/grub/menu.lst": "grub-legacy",
    "/EFI/*/grub*.efi": "grub",
    "/EFI/systemd/systemd-boot*.efi": "systemd-boot",
    "/EFI/Microsoft/Boot/bootmgfw.efi": "windows",
    "/bootmgr": "windows",
    "/ldlinux.sys": "syslinux",
    "/syslinux.cfg": "syslinux",
    "/boot/syslinux/syslinux.cfg": "syslinux",
    "/boot/extlinux/extlinux.conf": "extlinux",
    "/EFI/BOOT/BOOT*.EFI": "efi",
}


class System(msgspec.Struct, frozen=True, kw_only=True):
    """What libguestfs says of a system."""

    root: str
    type: str
    distribution: str
    product: str
    version: str
    architecture: str
    packages: str


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of ``modules.builtin`` and ``modules.dep`` that have virtio in them."""

    builtin: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    initramfs: str | None = None  # its path


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    file_systems: dict[str, str] = {}
    loaders: dict[str, tuple[str, ...]] = {}
    systems: tuple[System, ...] = ()
    texts: dict[str, str] = {}
    present: tuple[str, ...] = ()
    accounts: dict[str, Account] = {}
    kernels: dict[str, Kernel] = {}
    newest_kernel: str | None = None
    troubles: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the steps."""

    failed: dict[str, str]  # by the name of the step
    after: Gathered
