"""The file of a disk image, as a command is given it: opened without waiting, and only what has an end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from headwater.errors import HeadwaterError

_KINDS: Final = (
    (stat.S_ISDIR, "a directory; name the image in it"),
    (stat.S_ISFIFO, "a named pipe; write what comes from it to a file first"),
    (stat.S_ISCHR, "a device without an end; name a file or a block device"),
    (stat.S_ISSOCK, "a socket; name a file or a block device"),
)


class NoDiskFile(HeadwaterError):
    """There is nothing under a name that could be a disk image."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read the disk in {shown(path)}: {reason}")
        self.path, self.reason = path, reason


def opened(path: Path) -> BinaryIO:
    """Open a file, or a block device.

    Raises:
        NoDiskFile: It is neither, is empty, or cannot be opened.
    """
    try:
        # Of a pipe, and of some devices, an open waits for somebody at the other end.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        reason = "it is a socket" if stat.S_ISSOCK(_mode(path)) else error.strerror or str(error)
        raise NoDiskFile(path, reason) from error
    except ValueError as error:  # a NUL in the name
        raise NoDiskFile(path, str(error)) from error
    try:
        about = os.fstat(file)
        for is_kind, what in _KINDS:
            if is_kind(about.st_mode):
                raise NoDiskFile(path, f"it is {what}")
        if stat.S_ISREG(about.st_mode) and about.st_size == 0:
            raise NoDiskFile(path, "it is empty; was it downloaded to its end?")
        return os.fdopen(file, "rb")
    except BaseException:
        os.close(file)
        raise


def shown(path: Path) -> str:
    """Return a path so that a terminal does nothing but show it; names need not be text."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
