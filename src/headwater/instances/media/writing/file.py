"""Media as files: under their names whole or not at all, and for their owner only.

User data often holds secrets, so only its owner may read the image; what runs the machine (libvirt, say) changes that
as it needs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from headwater.errors import Conflict, HeadwaterError
from headwater.instances.media.writing import fat, iso

Kind = Literal["iso9660", "vfat"]


class DriveExists(Conflict):
    """There is a file where the drive should be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already; give another name, or --force to replace it")
        self.path = path


class DriveNotWritten(HeadwaterError):
    """The file system does not take a medium, or a file for a hypervisor."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot write {path}: {reason}")
        self.path, self.reason = path, reason


def write_files(
    files: Mapping[str, bytes], label: str, path: Path, at: int, *, kind: Kind = "iso9660", replace: bool = False
) -> int:
    """Write a medium with these files to ``path`` and return its size in bytes.

    Args:
        files: By their paths on the medium.
        at: The time that it is to carry, in seconds since 1970, UTC.
        replace: Whether a file that is there already gives way.

    Raises:
        DriveExists: There is a file at ``path``.
        DriveNotWritten: The directory is missing or full, or may not be written.
        MediumFull: They are more than FAT holds.
    """
    if not replace and os.path.lexists(path):
        raise DriveExists(path)
    image = (fat if kind == "vfat" else iso).image(files, label, at)
    size = fat.SIZE if kind == "vfat" else len(image)
    try:
        _write_whole(path, image, size)
    except OSError as error:
        raise DriveNotWritten(path, error.strerror or str(error)) from error
    return size


def write_file(path: Path, body: bytes) -> None:
    """Write a file that a hypervisor reads, in place of one that is there, and the directory it is in.

    Raises:
        DriveNotWritten: The directory cannot be made, or not be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_whole(path, body, len(body))
    except OSError as error:
        raise DriveNotWritten(path, error.strerror or str(error)) from error


def _write_whole(path: Path, image: bytes, size: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:200]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image)
            file.truncate(size)  # the rest takes no room
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
