"""The directory of what Headwater keeps itself."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from headwater.errors import SettingsError


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
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DataDirectoryUnwritable(directory, error.strerror or str(error)) from error


def require_possible(directory: Path) -> None:
    """Make nothing, and raise ``DataDirectoryUnwritable`` when something else is in the place of the directory."""
    try:
        if not stat.S_ISDIR(directory.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataDirectoryUnwritable(directory, error.strerror or str(error)) from error
