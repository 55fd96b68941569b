"""A file of a cache, piece by piece, for those to whom the system cannot send it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

_log = logging.getLogger(__name__)

PIECE = 256 << 10


def pieces_of(path: Path, wanted: range, *, follows: bool = False) -> Iterator[bytes]:
    """Yield a part of a file, as far as it can be read.

    Args:
        follows: It may be a link, as the names of open files are (``/dev/fd/N``).
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if follows else os.O_NOFOLLOW))
    except OSError as error:
        _log.warning("a cached file cannot be read", extra={"path": str(path), "error": str(error)})
        return
    try:
        at = wanted.start
        while at < wanted.stop:
            piece = os.pread(file, min(PIECE, wanted.stop - at), at)
            if not piece:
                return
            at += len(piece)
            yield piece
    except OSError as error:
        _log.warning("a cached file cannot be read", extra={"path": str(path), "error": str(error)})
    finally:
        os.close(file)
