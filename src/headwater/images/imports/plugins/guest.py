"""Tell from a disk which system is on it, without booting or mounting it, and say so in the image's properties.

Partitions and file systems are read from the bytes (``disks.py``); a Linux says what it is in ``os-release``, which
``debugfs`` reads out of ext2, ext3 and ext4, confined as ``qemu-img`` is. What cannot be told is left out, and no
import fails for it. What the user has set stays.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from headwater.config import Section
from headwater.images.imports.plugins import confined, disks
from headwater.images.imports.plugins.confined import Bounds, ProgramFailed
from headwater.images.imports.plugins.disks import Disk, Partition
from headwater.images.imports.plugins.plugin import Data, PluginType, Work

_log = logging.getLogger(__name__)

NAME = "guest_inspection"
Told = Literal["os_type", "os_distro", "os_version", "architecture", "hw_firmware_type"]
_ALL: tuple[Told, ...] = ("os_type", "os_distro", "os_version", "architecture", "hw_firmware_type")
_BOUNDS = Bounds(memory=512 << 20, processor_s=10, file_size=0, time_s=30)
_WORD = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}")
_LOOKED_AT = 16  # partitions in which a system is looked for
_LOOKED_S = 60.0  # after which no other one is
# The second is a link to the first on most systems, and debugfs follows none.
_OS_RELEASE = ("/usr/lib/os-release", "/etc/os-release")
# Source: the metadata definitions of OpenStack and libosinfo, which have one name for these.
_DISTRO = {"opensuse-leap": "opensuse", "opensuse-tumbleweed": "opensuse"}


class GuestSettings(Section):
    """Section ``[import_plugins.guest_inspection]``."""

    properties: Annotated[
        tuple[Told, ...], Field(description="What is said of a system that is found, where the user has not said it.")
    ] = _ALL


class GuestInspection:
    """The plugin."""

    def __init__(self, settings: GuestSettings) -> None:
        self._told = settings.properties

    def wants(self, data: Data, work: Work) -> bool:
        """Return whether it is a raw disk of which something is not said yet."""
        is_disk = data.container_format == "bare" and data.disk_format == "raw"
        return is_disk and any(name not in data.properties for name in self._told)

    def apply(self, data: Data, work: Work) -> Data:
        """Return the same data, with what is found as properties."""
        if not self.wants(data, work):
            return data
        data, file = work.spooled(data, "disk")
        found = found_on(file)
        more: dict[str, str] = {
            name: found[name] for name in self._told if name in found and name not in data.properties
        }
        return replace(data, properties={**data.properties, **more})


def found_on(file: Path) -> dict[str, str]:
    """Return what can be told of the system on a raw disk, by the name of the property that says it."""
    with file.open("rb") as opened:
        disk = disks.disk_in(lambda at, length: os.pread(opened.fileno(), length, at))
    return {**told_by(disk), **_told_by_linux(disk, file)}


def told_by(disk: Disk) -> dict[str, str]:
    """Return what the partitions alone tell, as ``found_on`` does."""
    found: dict[str, str] = {}
    kinds = disk.kinds
    if (disks.ESP in kinds or disks.ESP_IN_MBR in kinds) and disks.BIOS_BOOT not in kinds and not disk.has_boot_code:
        found["hw_firmware_type"] = "uefi"  # a BIOS would find nothing to run
    architectures = {disks.ROOTS[kind] for kind in kinds if kind in disks.ROOTS}
    if len(architectures) == 1:
        found["architecture"] = architectures.pop()
    systems = {each.file_system for each in disk.partitions}
    if kinds & set(disks.ROOTS) or systems & {"ext", "xfs", "btrfs"}:
        found["os_type"] = "linux"
    elif kinds & disks.MICROSOFT or "ntfs" in systems:
        found["os_type"] = "windows"
    return found


def _told_by_linux(disk: Disk, file: Path) -> dict[str, str]:
    # Entries of a table may say the same place again and again.
    places = {each.start: each for each in disk.partitions if each.file_system == "ext"}
    until = time.monotonic() + _LOOKED_S
    for partition in list(places.values())[:_LOOKED_AT]:
        if time.monotonic() > until:
            break
        for path in _OS_RELEASE:
            said = os_release(_text(file, partition, path))
            if said.get("ID"):
                found = {"os_type": "linux", "os_distro": _DISTRO.get(said["ID"], said["ID"])}
                return found | ({"os_version": said["VERSION_ID"]} if "VERSION_ID" in said else {})
    return {}


def _text(file: Path, partition: Partition, path: str) -> str:
    """Return a file of an ext file system; empty when there is none."""
    command = ["debugfs", "-c", "-R", f"cat {path}", f"./{file.name}?offset={partition.start}"]
    try:
        return confined.run(command, file.parent, _BOUNDS).decode("utf-8", "replace")
    except ProgramFailed as error:
        _log.info("a file system was not read", extra={"reason": str(error)})
        return ""


def os_release(text: str) -> Mapping[str, str]:
    """Return what an ``os-release`` says, where it is a plain word. Source: man os-release."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if not separator or name.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        if len(words) == 1 and _WORD.fullmatch(words[0].lower()):
            found[name] = words[0].lower()
    return found


PLUGIN = PluginType(NAME, GuestSettings, GuestInspection)
