"""A config drive: the documents of an instance on an ISO 9660 image that its guest finds by label.

The real, lower-case names are in all three name spaces: the primary tree (Ironic opens
``/openstack/latest/network_data.json;1``), Rock Ridge and Joliet. The same instance, time and
entropy give the same bytes. The image appears under its name whole or not at all.

User data often holds secrets, so only its owner may read the image; what runs the machine (libvirt,
say) changes that as it needs.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pycdlib
import pycdlib.dates
import pycdlib.headervd
import pycdlib.pycdlib
import pycdlib.utils

from headwater.errors import Conflict, HeadwaterError
from headwater.instances.model import Instance
from headwater.instances.trees import ec2, openstack

LABEL = "config-2"
# Nova skips the older EC2 versions; nothing reads them from a drive.
EC2_VERSIONS = (ec2.VERSIONS[-1], ec2.LATEST)
_DIRECTORY_MODE = 0o040555
_FILE_MODE = 0o100444


class DriveExists(Conflict):
    """There is a file where the drive should be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already; give another name, or --force to replace it")
        self.path = path


class DriveNotWritten(HeadwaterError):
    """The file system does not take the drive."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot write the config drive {path}: {reason}")
        self.path, self.reason = path, reason


def drive_files(instance: Instance, entropy: Callable[[int], bytes] = os.urandom) -> dict[str, bytes]:
    """Return every file of a config drive by its path, in the order in which they are written."""
    files: dict[str, bytes] = {}
    for version in EC2_VERSIONS:
        content = json.dumps(ec2.meta_data(instance, version)).encode("ascii")
        files[f"{ec2.ROOT}/{version}/meta-data.json"] = content
        if instance.user_data is not None:
            files[f"{ec2.ROOT}/{version}/user-data"] = instance.user_data
    for version, documents in openstack.versions(instance, drive=True).items():
        for name, document in documents.items():
            files[f"{openstack.ROOT}/{version}/{name}"] = document.read(entropy)
    for path, data in openstack.content(instance).items():
        files[f"{openstack.ROOT}/{path}"] = data
    return files


def write_config_drive(
    instance: Instance,
    path: Path,
    at: int,
    *,
    replace: bool = False,
    entropy: Callable[[int], bytes] = os.urandom,
) -> int:
    """Write the config drive of ``instance`` to ``path`` and return its size in bytes.

    Args:
        at: The time that it is to carry, in seconds since 1970, UTC.
        replace: Whether a file that is there already gives way.

    Raises:
        DriveExists: There is a file at ``path``.
        DriveNotWritten: The directory is missing or full, or may not be written.
    """
    if not replace and os.path.lexists(path):
        raise DriveExists(path)
    image = _image(drive_files(instance, entropy), at)
    try:
        _write_whole(path, image)
    except OSError as error:
        raise DriveNotWritten(path, error.strerror or str(error)) from error
    return len(image)


def _write_whole(path: Path, image: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:200]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _image(files: dict[str, bytes], at: int) -> bytes:
    image = io.BytesIO()
    with _standing_still(at):
        iso = pycdlib.PyCdlib()
        iso.new(interchange_level=4, joliet=3, rock_ridge="1.09", vol_ident=LABEL, pub_ident_str="HEADWATER")
        try:
            for directory in _directories(files):
                iso.add_directory(
                    f"/{directory}",
                    rr_name=directory.rpartition("/")[2],
                    joliet_path=f"/{directory}",
                    file_mode=_DIRECTORY_MODE,
                )
            for path, body in files.items():
                iso.add_fp(
                    io.BytesIO(body),
                    len(body),
                    f"/{path};1",
                    rr_name=path.rpartition("/")[2],
                    joliet_path=f"/{path}",
                    file_mode=_FILE_MODE,
                )
            iso.write_fp(image)
        finally:
            iso.close()
    return image.getvalue()


def _directories(files: dict[str, bytes]) -> list[str]:
    """Return the directories that the files need, each after the one it is in."""
    found: dict[str, None] = {}
    for path in files:
        parts = path.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            found["/".join(parts[:length])] = None
    return list(found)


_CLOCK = threading.Lock()
_USERS_OF_TIME = (pycdlib.dates, pycdlib.headervd, pycdlib.pycdlib, pycdlib.utils)


@contextmanager
def _standing_still(at: int) -> Iterator[None]:
    """Let pycdlib see one time, in UTC, whatever clock and zone the machine has.

    It takes every date from the ``time`` module and offers no other way. Only its own view of that
    module changes, under a lock, and nothing else in this program uses pycdlib to write.
    """
    stopped = SimpleNamespace(
        time=lambda: float(at),
        localtime=time.gmtime,
        gmtime=time.gmtime,
        strftime=time.strftime,
        strptime=time.strptime,
    )
    with _CLOCK:
        for module in _USERS_OF_TIME:
            vars(module)["time"] = stopped
        try:
            yield
        finally:
            for module in _USERS_OF_TIME:
                vars(module)["time"] = time
