"""A file that an operator edits while Headwater runs: read at the start, and again when it changed.

At the start a bad file is an error. Later it is a line in the log, and what was read before stays in
force: a typing error must neither lock everybody out nor let everybody in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from headwater.errors import SettingsError

CHECK_EVERY_S = 1.0

_log = logging.getLogger(__name__)

T = TypeVar("T")
_Look = tuple[int, int, int]  # modification time in ns, size, inode: an edit in place or a new file changes one


class WatchedFile(Generic[T]):
    """What ``parse`` makes of the file; safe to use from several threads."""

    def __init__(
        self,
        path: Path,
        parse: Callable[[Path], T],
        *,
        beside: Sequence[Path] = (),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file.

        Args:
            parse: Raises ``SettingsError`` or ``OSError`` when the file cannot be used.
            beside: Files that ``parse`` reads too.
            steady: A clock in seconds that never goes back.

        Raises:
            SettingsError: The file cannot be used.
        """
        self._path = path
        self._parse = parse
        self._all = (path, *beside)
        self._steady = steady
        self._lock = threading.Lock()
        self._looks = self._look()
        try:
            self._value = parse(path)
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from error
        self._check_at = steady() + CHECK_EVERY_S

    @property
    def is_due(self) -> bool:
        """Whether the next ``value()`` looks at the file."""
        return self._steady() >= self._check_at

    @property
    def last(self) -> T:
        """What was read last; looks at nothing."""
        return self._value

    def value(self) -> T:
        """Return what the file says, or said when it could be used last; looks at it once a second at most."""
        if self.is_due and self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._check_at = self._steady() + CHECK_EVERY_S
                self._lock.release()
        return self._value

    def _look(self) -> list[_Look | None]:
        return [_look_at(each) for each in self._all]

    def _refresh(self) -> None:
        looks = self._look()
        if looks == self._looks:
            return
        self._looks = looks
        try:
            self._value = self._parse(self._path)
        except (SettingsError, OSError) as error:
            _log.error("the file cannot be used; what it said before stays", extra={"error": str(error)})
        else:
            _log.info("read again", extra={"file": str(self._path)})


def _look_at(path: Path) -> _Look | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
