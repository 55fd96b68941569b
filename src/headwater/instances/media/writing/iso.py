"""ISO 9660 images whose names are right in all three name spaces, the same bytes for the same files and time.

The real, lower-case names are in the primary tree (Ironic opens ``/openstack/latest/network_data.json;1``), in Rock
Ridge and in Joliet.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace

import pycdlib
import pycdlib.dates
import pycdlib.headervd
import pycdlib.pycdlib
import pycdlib.utils

_DIRECTORY_MODE = 0o040555
_FILE_MODE = 0o100444


def image(files: Mapping[str, bytes], label: str, at: int) -> bytes:
    """Return the image.

    Args:
        files: By path, in the order in which they are written.
        at: The time that it carries, in seconds since 1970, UTC.
    """
    written = io.BytesIO()
    with _standing_still(at):
        iso = pycdlib.PyCdlib()
        iso.new(interchange_level=4, joliet=3, rock_ridge="1.09", vol_ident=label, pub_ident_str="HEADWATER")
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
            iso.write_fp(written)
        finally:
            iso.close()
    return written.getvalue()


def _directories(files: Mapping[str, bytes]) -> list[str]:
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
