"""What is seen of a disk image: of its file, of the disk in it, and of the system on that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Table = Literal["gpt", "mbr", "none"]
Firmware = Literal["uefi", "bios", "both", "unknown"]
Virtio = Literal["virtio_blk", "virtio_scsi", "virtio_net"]
Reach = Literal["built in", "initramfs", "module", "missing", "unknown"]
Account = Literal["set", "empty"]  # a password, or none needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition, or all of a disk that has none."""

    start: int  # bytes
    kind: str  # GUID of its type, or two hex digits of an MBR's; empty: the whole disk
    file_system: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSeen:
    """What the first bytes of the disk and of its partitions tell, without a look at any file."""

    format: str  # of the Image API
    size: int  # bytes of the file
    virtual_size: int  # bytes of the disk
    table: Table
    partitions: tuple[Partition, ...]
    firmware: Firmware
    told: Mapping[str, str]  # properties that follow from these


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudInit:
    """cloud-init, or cloudbase-init."""

    version: str | None
    sources: tuple[str, ...] | None  # the list of data sources that is set; None: all are tried
    disabled_by: str | None = None  # a file, or a word of the kernel's command line
    state: tuple[str, ...] = ()  # what an instance has left


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """What sshd lets in, as far as its files say; ``None``: they do not, and its own default holds."""

    installed: bool
    password_authentication: bool | None = None
    permit_root_login: str | None = None
    host_keys: tuple[str, ...] = ()
    makes_host_keys: bool = False  # at its start, when there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """The system on the disk."""

    type: str  # linux, windows …
    distribution: str | None = None  # as os-release has it
    version: str | None = None
    product: str | None = None
    architecture: str | None = None
    packages: str | None = None  # deb, rpm …
    kernel: str | None = None  # the newest
    virtio: Mapping[Virtio, Reach] = field(default_factory=dict)
    loaders: tuple[str, ...] = ()  # names of boot loaders whose files lie on the disk
    cloud_init: CloudInit | None = None
    ssh: Ssh = Ssh(installed=False)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    machine_id: str | None = None  # None: no file; empty: made at the first boot
    network_rules: tuple[str, ...] = ()  # files of udev that tie names to addresses
    fixed_network: tuple[str, ...] = ()  # files that name a hardware address
    serial_console: bool | None = None  # None: no command line was found
    grows_root: bool = False
    drives_by_name: tuple[str, ...] = ()  # /dev/sda1 … in fstab
    guest_agent: bool = False
    others: int = 0  # more systems on the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All of it."""

    disk: DiskSeen
    guest: Guest | None  # None: not looked at, or there is none
    not_looked: str | None = None  # why libguestfs did not look
    troubles: tuple[str, ...] = ()  # what could not be read
