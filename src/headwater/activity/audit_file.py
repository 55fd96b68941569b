"""The file of the audit records: one JSON object a line, appended by one write.

So lines of several processes never mix. The file may be moved away at any time, as logrotate does: the next
record begins a new one.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from headwater.config import Section
from headwater.errors import SettingsError

MODE = 0o600  # of a file that is made; one that is there keeps its own

_log = logging.getLogger(__name__)


class AuditSettings(Section):
    """Section ``[audit]``: where it is written who did what."""

    file: Annotated[
        Path | None,
        Field(description="File of the audit records, one JSON object a line. Default: they go to the log."),
    ] = None


class AuditFileUnwritable(SettingsError):
    """No record can be written where the settings say."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"section [audit], key 'file': cannot write to {file}: {reason}; "
            "give a file in a directory that is there and that this user may write to"
        )
        self.file, self.reason = file, reason


class AuditFile(logging.Handler):
    """Appends to the file; safe to use from several threads and processes."""

    def __init__(self, file: Path) -> None:
        """Open the file, made if it is missing.

        Raises:
            AuditFileUnwritable: It cannot be opened.
        """
        super().__init__()
        self._file = file
        try:
            self._descriptor: int | None = _open(file)
        except OSError as error:
            raise AuditFileUnwritable(file, error.strerror or str(error)) from error

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. What cannot be written goes to the log, so that it is not lost."""
        try:
            line = f"{self.format(record)}\n".encode()
            if os.write(self._present(), line) != len(line):
                raise OSError("the file system is full")
        except Exception as error:  # noqa: BLE001 - what it tells is done; the request is answered all the same
            left = {name: value for name, value in vars(record).items() if name in _FACTS}
            reason = getattr(error, "strerror", None) or str(error)
            extra = {"reason": reason, "action": record.msg, **left}
            _log.error("an audit record could not be written", extra=extra)

    def _present(self) -> int:
        """Return the file that lies at the path now, made if there is none."""
        if self._descriptor is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(self._file.stat(), os.fstat(self._descriptor)):
                    return self._descriptor
            self._let_go()
        self._descriptor = _open(self._file)
        return self._descriptor

    def _let_go(self) -> None:
        # The number is forgotten first: closed, it may soon be another file's.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file; another record would open it again.

        ``logging.config`` closes every handler that there is, and the server uses that in each worker.
        """
        with self.lock or contextlib.nullcontext():
            self._let_go()
        super().close()


def require_writable(file: Path) -> None:
    """Return when records could be written to the file; it is not made.

    Raises:
        AuditFileUnwritable: They could not.
    """
    try:
        if not file.exists():
            may = os.access(file.parent, os.W_OK | os.X_OK)
            problem = errno.ENOENT if not file.parent.is_dir() else None if may else errno.EACCES
        elif file.is_dir():
            problem = errno.EISDIR
        else:
            problem = None if os.access(file, os.W_OK) else errno.EACCES
    except OSError as error:
        problem = error.errno
    if problem is not None:
        raise AuditFileUnwritable(file, os.strerror(problem))


_FACTS = frozenset(
    {"user", "project", "roles", "client", "request_id", "image", "namespace", "member", "outcome", "error", "changed"}
)


def _open(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
