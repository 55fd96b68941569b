"""A disk as libguestfs told of it: a Debian that ran on another host, with what such hosts leave behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from headwater.images.preparing.asking import Gathered, Kernel, System
from headwater.images.preparing.facts import guest_in
from headwater.images.preparing.model import DiskSeen, Guest, Partition, Seen

GRUB_CFG = """\
set default=0
menuentry 'Debian' {
	search --no-floppy --fs-uuid --set=root 1111
	linux	/boot/vmlinuz-6.1.0 root=UUID=2222 ro quiet
	initrd	/boot/initrd.img-6.1.0
}
"""
DEFAULTS = 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n'

LEGACY = Gathered(
    file_systems={"/dev/sda1": "ext4"},
    loaders={"/dev/sda1": ("/boot/grub/grub.cfg",)},
    systems=(
        System(
            root="/dev/sda1",
            type="linux",
            distribution="debian",
            product="12",
            version="12.0",
            architecture="x86_64",
            packages="deb",
        ),
    ),
    texts={
        "/etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "/etc/fstab": "# <file system>\n/dev/sda1 / ext4 defaults 0 1\nUUID=3333 /home ext4 defaults 0 2\n",
        "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "/etc/ssh/sshd_config": "#PasswordAuthentication no\nPermitRootLogin yes\n",
        "/etc/default/grub": DEFAULTS,
        "/boot/grub/grub.cfg": GRUB_CFG,
        "/etc/network/interfaces": "iface eth0 inet dhcp\n  hwaddress ether 00:0c:29:aa:bb:cc\n",
    },
    present=(
        "/usr/sbin/sshd",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/ssh/ssh_host_rsa_key.pub",
        "/etc/udev/rules.d/70-persistent-net.rules",
    ),
    accounts={"root": "set"},
    kernels={
        "6.1.0": Kernel(
            modules=(
                "kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko",
                "kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz",
                "kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/block/not_virtio_scsi.ko",
            ),
            initramfs="/boot/initrd.img-6.1.0",
        )
    },
    newest_kernel="6.1.0",
)

CLEAN = msgspec.structs.replace(
    LEGACY,
    texts={
        "/etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "/etc/fstab": "UUID=3333 / ext4 defaults 0 1\n",
        "/etc/machine-id": "",
        "/boot/grub/grub.cfg": GRUB_CFG.replace("quiet", "console=ttyS0"),
    },
    present=("/usr/bin/cloud-init", "/usr/lib/python3/dist-packages/cloud_init-22.4.2.egg-info", "/usr/bin/growpart"),
    accounts={},
)


def guest(gathered: Gathered = LEGACY, initramfs: frozenset[Any] | None = frozenset()) -> Guest:
    found = guest_in(gathered, initramfs)
    assert found is not None
    return found


def more(gathered: Gathered, *present: str, **texts: str) -> Gathered:
    """Return the same disk with more on it."""
    return msgspec.structs.replace(gathered, present=(*gathered.present, *present), texts={**gathered.texts, **texts})


DISK = DiskSeen(
    format="vmdk",
    size=1 << 30,
    virtual_size=(3 << 30) + 1,
    table="mbr",
    partitions=(Partition(start=1 << 20, kind="83", file_system="ext"),),
    firmware="bios",
    told={"os_type": "linux"},
)


def seen(found: Guest | None, **disk: Any) -> Seen:
    return Seen(disk=replace(DISK, **disk), guest=found)
