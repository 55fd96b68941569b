"""The directory of what Headwater keeps itself, which nobody but its owner may look into.

The catalogue holds user data of instances and signed URLs. What we make is made for its owner only, whatever the
umask says, and what an earlier release made is closed at a start. A directory that holds what is not ours was chosen by
the operator, who may want others to read it: it stays as it is, and the log says that it is open.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from headwater.errors import SettingsError

_OURS = re.compile(r"headwater\.db(-[a-z]+)?|stores|streams|\.probe-[0-9]+")
_BESIDE = ("", "-wal", "-shm", "-journal", "-writer")  # of a database of SQLite

_log = logging.getLogger(__name__)


class DataDirectoryUnwritable(SettingsError):
    """Nothing can be kept in the directory that the settings name."""

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(
            f"key 'data_dir': cannot write to the directory {directory}: {reason}; "
            "give a directory that this user may write to (--data-dir)"
        )
        self.directory, self.reason = directory, reason


def prepare(directory: Path) -> None:
    """Make the directory if it is missing.

    Raises:
        DataDirectoryUnwritable: It cannot be made or written to.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DataDirectoryUnwritable(directory, error.strerror or str(error)) from error


def close_database(file: Path | None) -> None:
    """Make a database of SQLite its owner's only, before anybody opens it; the files beside it follow it.

    Args:
        file: ``None`` for one that is no file.
    """
    if file is None:
        return
    with contextlib.suppress(OSError):  # whoever opens it says what is wrong
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for each in _BESIDE:
        _close(Path(f"{file}{each}"))


def close_directories(data_dir: Path) -> None:
    """Close the data directory to others, or tell that it is left open."""
    _close(data_dir / "stores")
    is_shared = _mode(data_dir) & stat.S_ISVTX  # as /tmp is
    if not is_shared and all(_OURS.fullmatch(path.name) for path in data_dir.iterdir()):
        _close(data_dir)
    _tell(data_dir)


def tell_of_open(outside: Iterable[Path], wait_s: float = 1.0) -> None:
    """Tell of directories, which the operator has chosen for stores, that others may look into.

    Each is looked at by a thread that ends with the process: where one is on a file server that hangs, nobody waits
    longer than ``wait_s``.
    """
    looks = [threading.Thread(target=_tell, args=(directory,), daemon=True) for directory in outside]
    for each in looks:
        each.start()
    until = time.monotonic() + wait_s
    for each in looks:
        each.join(max(0.0, until - time.monotonic()))


def _tell(directory: Path) -> None:
    mode = _mode(directory)
    if mode & 0o077:
        extra = {"path": str(directory), "mode": f"{mode:o}"}
        _log.warning("others may look into a directory; close it with chmod 700", extra=extra)


def _close(path: Path) -> None:
    mode = _mode(path)
    if mode & 0o077:
        with contextlib.suppress(OSError):  # another user's: see above
            path.chmod(mode & 0o700)


def _mode(path: Path) -> int:
    """Return who may do what with it; nobody anything when it is not there."""
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        return 0


def require_possible(directory: Path) -> None:
    """Make nothing, and raise ``DataDirectoryUnwritable`` when something else is in the place of the directory."""
    try:
        if not stat.S_ISDIR(directory.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataDirectoryUnwritable(directory, error.strerror or str(error)) from error
