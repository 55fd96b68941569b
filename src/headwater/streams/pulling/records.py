"""What is kept of the documents of a feed that is pulled, in a directory that all workers share::

    KEY.json       what is known of a document; its time is when the server was asked last
    KEY.HASH       its text
    KEY.before     the text before; its time is when it was replaced
    KEY.lock       held by who asks the server for it; its time is when that failed last

``KEY`` stands for a path. A text is there before it is named, so what is named is whole, whoever was killed.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headwater.caching.directory import CacheUnavailable
from headwater.errors import SettingsError

_TEXT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One document as it was last found, or that it was not there."""

    path: str
    sha256: str  # of the text; empty: there was no such document
    size: int = 0
    form: str = ""  # how it was signed
    tags: Mapping[str, str]  # what its server is asked with, by path
    updated: str | None = None  # as it says itself
    changed: float = 0  # seconds since 1970 in which it was found to be this one
    signature: bytes | None = None  # the detached one
    asked: float = 0  # seconds since 1970 in which its server was asked last; not written

    @property
    def is_absent(self) -> bool:
        return not self.sha256


class Records:
    """The documents of one feed; safe to use from several threads and processes.

    Each call raises ``CacheUnavailable`` when the directory does not work.
    """

    def __init__(self, directory: Path, setting: str) -> None:
        """Make the directory ready.

        Raises:
            SettingsError: Nothing can be kept there; the message names ``setting``.
        """
        self.directory = directory
        try:
            self._make()
        except OSError as error:
            raise SettingsError(f"{setting}: cannot keep anything in {directory}: {error.strerror}") from error

    def _make(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, path: str) -> Record | None:
        """Return what is known of a document; ``None``: nothing, or nothing that can be read any more."""
        file = self._file(path, "json")
        with self._working():
            try:
                with file.open("rb") as opened:
                    said, asked = opened.read(), os.fstat(opened.fileno()).st_mtime
            except FileNotFoundError:
                return None
        return _record(path, said, asked)

    def known(self) -> Iterator[Record]:
        """Yield all that is known."""
        with self._working():
            files = sorted(self.directory.glob("*.json"))
        for file in files:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found = self.get(str(json.loads(file.read_bytes())["path"]))
                if found is not None:
                    yield found

    def open(self, record: Record) -> int | None:
        """Return the text, as an open file; ``None`` where it was replaced meanwhile."""
        with self._working():
            try:
                return os.open(self._file(record.path, record.sha256), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                return None

    def text(self, record: Record) -> bytes | None:
        """Return the text; ``None`` where it was replaced meanwhile, or is damaged."""
        opened = self.open(record)
        if opened is None:
            return None
        with self._working(), os.fdopen(opened, "rb") as file:
            text = file.read()
        return text if hashlib.sha256(text).hexdigest() == record.sha256 else None

    def replaced_at(self, path: str) -> float | None:
        """Return when the text before was replaced, in seconds since 1970; ``None``: nothing is known of one."""
        with self._working():
            try:
                return self._file(path, "before").stat().st_mtime
            except FileNotFoundError:
                return None

    def before(self, path: str) -> bytes:
        """Return the text before; an object without anything where there is none any more."""
        with self._working():
            try:
                return self._file(path, "before").read_bytes()
            except FileNotFoundError:
                return b"{}"

    def put(self, record: Record, text: bytes) -> None:
        """Make a document what is known of its path."""
        with self._working():
            if not record.is_absent:
                self._write(self._file(record.path, record.sha256), text, record.changed)
            self._write(self._file(record.path, "json"), _said(record), record.asked)
            for old in self.directory.glob(f"{_key(record.path)}.*"):
                ending = old.suffix[1:]
                if _TEXT.fullmatch(ending) and ending != record.sha256:
                    os.utime(old, (record.asked, record.asked))
                    old.replace(self._file(record.path, "before"))
                elif ending not in ("json", "lock", "before", record.sha256):
                    old.unlink(missing_ok=True)  # somebody was killed while he wrote it

    def touch(self, record: Record, asked: float) -> None:
        """Note that the server was asked, and it is still so."""
        with self._working(), contextlib.suppress(FileNotFoundError):
            os.utime(self._file(record.path, "json"), (asked, asked))

    def failed(self, path: str, at: float) -> None:
        """Note that the server was asked in vain; at 0: that it was not."""
        with self._working():
            lock = self._file(path, "lock")
            os.truncate(lock, 1 if at else 0)
            os.utime(lock, (at, at))

    def failed_at(self, path: str) -> float:
        """Return when the server was last asked in vain, in seconds since 1970; 0: it was not."""
        with self._working():
            try:
                found = self._file(path, "lock").stat()
                return found.st_mtime if found.st_size else 0  # a new one is empty
            except FileNotFoundError:
                return 0

    def forget(self) -> int:
        """Forget all documents; return how many there were."""
        count = 0
        with self._working():
            self._make()
            for file in self.directory.iterdir():
                if file.suffix != ".lock":
                    count += file.suffix == ".json"
                    file.unlink(missing_ok=True)
        return count

    @contextlib.contextmanager
    def asking(self, path: str, *, waits: bool) -> Iterator[bool]:
        """Be the one who asks the server for a document; yield ``False`` where somebody does and we do not wait."""
        with self._working():
            self._make()  # it may have been lost since
            file = os.open(self._file(path, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(file)

    def _file(self, path: str, ending: str) -> Path:
        return self.directory / f"{_key(path)}.{ending}"

    def _write(self, target: Path, content: bytes, at: float) -> None:
        unfinished = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        try:
            with unfinished.open("xb") as file:  # below a directory of mode 0700
                file.write(content)
                file.flush()
                os.utime(file.fileno(), (at, at))
                os.fsync(file.fileno())
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CacheUnavailable(self.directory, error) from error


def _key(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:32]


def _said(record: Record) -> bytes:
    signature = None if record.signature is None else base64.b64encode(record.signature).decode()
    said = {
        "path": record.path,
        "sha256": record.sha256,
        "size": record.size,
        "form": record.form,
        "tags": dict(record.tags),
        "updated": record.updated,
        "changed": record.changed,
        "signature": signature,
    }
    return json.dumps(said).encode()


def _record(path: str, said: bytes, asked: float) -> Record | None:
    try:
        found: dict[str, Any] = json.loads(said)
        signature = found["signature"]
        return Record(
            path=path,
            sha256=str(found["sha256"]),
            size=int(found["size"]),
            form=str(found["form"]),
            tags={str(key): str(value) for key, value in found["tags"].items()},
            updated=found["updated"],
            changed=float(found["changed"]),
            signature=None if signature is None else base64.b64decode(signature),
            asked=asked,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # nobody of ours wrote that; the server is asked again
