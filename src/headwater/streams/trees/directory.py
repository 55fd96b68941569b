"""A tree in a directory, which a web server may serve as it is.

Files have mode 0644 and directories 0755 whatever the process's mask is, as another user serves them. What is being
written has a name that begins with ``.headwater-`` beside its file, and its mark in it where it has one; what a killed
process leaves of that is removed by a later ``exclusive``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat as modes
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from headwater.errors import Conflict
from headwater.streams.format.json_objects import safe_path
from headwater.streams.trees.arriving import Arriving
from headwater.streams.trees.tree import (
    ABSENT,
    DOCUMENT_LIMIT,
    HIDDEN,
    PIECE,
    Document,
    Entry,
    PathChanged,
    PathNotFound,
    TreeInUse,
    TreeRefused,
    TreeUnavailable,
    media_type_of,
)

_LOCK = f"{HIDDEN}lock"
# What is no file of the tree, but tells that the path leads to none.
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DirectoryTree:
    """Files below ``root``; safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        """Name the directory, which need not be there yet."""
        self.root = Path(os.path.abspath(root))  # noqa: PTH100  # a link stays a link
        self.place = str(self.root)

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        with self.open(path) as file:
            return file.whole(limit)

    def open(self, path: str, start: int = 0, *, tag: str | None = None) -> Arriving:
        return self._opened(path, self._at(path), start, tag=tag)

    def _opened(self, path: str, file: Path, start: int = 0, *, tag: str | None = None) -> Arriving:
        with self._translated(path):
            # A named pipe would not return from being opened.
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(descriptor)
        if not modes.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise PathNotFound(self.place, path)
        if tag not in (None, _tag(found)):
            os.close(descriptor)
            raise PathChanged(self.place, path)
        return Arriving(
            self,
            path,
            self._pieces(path, descriptor, start, found.st_size),
            tag=_tag(found),
            size=found.st_size,
            start=start,
            close=lambda: os.close(descriptor),
            media_type=media_type_of(path),
        )

    def _pieces(self, path: str, descriptor: int, at: int, end: int) -> Iterator[bytes]:
        with self._translated(path):
            while at < end and (piece := os.pread(descriptor, min(PIECE, end - at), at)):
                at += len(piece)
                yield piece

    def stat(self, path: str) -> Entry:
        with self._translated(path):
            found = self._at(path).stat()
        if not modes.S_ISREG(found.st_mode):
            raise PathNotFound(self.place, path)
        return _entry(path, found)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        above, _, _ = prefix.rpartition("/")
        with self._translated(prefix):
            yield from self._below(above, prefix)

    def write(
        self,
        path: str,
        body: bytes | BinaryIO,
        *,
        size: int | None = None,
        media_type: str | None = None,  # who serves the directory says it
        expect: str | None = None,
        max_age_s: int | None = None,
        mark: str | None = None,
    ) -> str:
        target = self._at(path)
        unfinished = target.parent / f"{_unfinished(mark)}{secrets.token_hex(8)}"
        with self._translated(path, writes=True):
            descriptor = self._begun(unfinished)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    _fill(file, body)
                    os.fchmod(descriptor, 0o644)
                    # The system's own times are milliseconds apart, and a tag is to tell two files of one millisecond.
                    os.utime(descriptor, ns=(time.time_ns(), time.time_ns()))
                    os.fsync(descriptor)
                    tag = _tag(os.fstat(descriptor))
                with contextlib.nullcontext() if expect is None else self._comparing():
                    if expect is not None and self._tag_of(target) != expect:
                        raise PathChanged(self.place, path)
                    unfinished.rename(target)
            except BaseException as error:
                if mark is None or isinstance(error, (Conflict, OSError)):
                    unfinished.unlink(missing_ok=True)
                raise
            _make_durable(target.parent)
        if mark is not None:
            for left in self._left(target, mark):
                left.unlink(missing_ok=True)
        return tag

    def begun(self, path: str, mark: str) -> Arriving | None:
        left = max(self._left(self._at(path), mark), key=lambda each: each.lstat().st_size, default=None)
        return None if left is None else self._opened(path, left)

    @staticmethod
    def _left(target: Path, mark: str) -> tuple[Path, ...]:
        return tuple(target.parent.glob(f"{_unfinished(mark)}*"))

    def delete(self, path: str) -> None:
        target = self._at(path)
        with self._translated(path), contextlib.suppress(*_NO_FILE):
            target.unlink()
            _make_durable(target.parent)
        with contextlib.suppress(OSError):  # what still holds something stays
            for each in target.parents:
                if each == self.root:
                    break
                each.rmdir()

    def prepare(self, *, public: bool = False) -> None:  # its files are for everybody who gets there
        with self._translated("", writes=True):
            self._make(self.root)
            os.scandir(self.root).close()  # which a file is not

    @contextlib.contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        with self._translated("", writes=True):
            self._make(self.root)
            descriptor = os.open(self.root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
                raise TreeInUse(self.place, holder or "another process") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{purpose}, process {os.getpid()}\n".encode(), 0)
            self._tidy()
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def public_url(self) -> None:
        return None

    def close(self) -> None:
        pass

    def _at(self, path: str) -> Path:
        if any(each.startswith(HIDDEN) for each in path.split("/")):
            raise TreeRefused(self.place, f"{path}: names that begin with {HIDDEN} are kept for what is being written")
        return self.root / safe_path(path)

    def _begun(self, unfinished: Path) -> int:
        """Return a new file, open; its directory may be removed as empty while it is made."""
        for last in (False, False, True):
            self._make(unfinished.parent)
            try:
                return os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                if last:
                    raise
        raise AssertionError

    def _below(self, directory: str, prefix: str) -> Iterator[Entry]:
        try:
            inside = sorted(os.scandir(self.root / directory), key=_order)
        except _NO_FILE:
            return
        for each in inside:
            path = f"{directory}/{each.name}" if directory else each.name
            if each.name.startswith(HIDDEN) or not (path.startswith(prefix) or prefix.startswith(f"{path}/")):
                continue
            if not _is_text(each.name):  # nobody could ask for it
                continue
            if each.is_dir(follow_symlinks=False):  # a link to a directory may lead around in a circle
                yield from self._below(path, prefix)
            elif each.is_file() and path.startswith(prefix):
                yield _entry(path, each.stat())

    @contextlib.contextmanager
    def _comparing(self) -> Iterator[None]:
        """Keep others from replacing files between a look and what follows from it."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @staticmethod
    def _tag_of(target: Path) -> str:
        try:
            return _tag(target.stat())
        except _NO_FILE:
            return ABSENT

    def _make(self, directory: Path) -> None:
        missing = [each for each in (directory, *directory.parents) if not each.exists()]
        for each in reversed(missing):
            with contextlib.suppress(FileExistsError):
                each.mkdir()
                each.chmod(0o755)
                _make_durable(each.parent)

    def _tidy(self) -> None:
        """Remove what processes left that were killed while they wrote; whoever writes without the lock is newer."""
        before = (self.root / _LOCK).stat().st_mtime - _UNFINISHED_S
        for directory, _, names in os.walk(self.root):
            for name in names:
                left = Path(directory, name)
                if name.startswith(HIDDEN) and name != _LOCK:
                    with contextlib.suppress(FileNotFoundError):
                        if left.lstat().st_mtime < before:
                            left.unlink()

    @contextlib.contextmanager
    def _translated(self, path: str, *, writes: bool = False) -> Iterator[None]:
        """Turn what the system says into the errors of a tree."""
        try:
            yield
        except PermissionError as error:
            cure = "let this user write there, or run as one who may" if writes else "let this user read it"
            named = f"{path}: " if path else ""
            raise TreeRefused(self.place, f"{named}this user may not: {error.strerror}; {cure}") from error
        except (NotADirectoryError, IsADirectoryError) as error:
            if writes and not path:
                raise TreeRefused(self.place, "there is a file on this path; name another directory") from error
            if writes:
                raise TreeRefused(self.place, f"{path}: a file and a directory cannot have one name") from error
            raise PathNotFound(self.place, path) from error
        except FileNotFoundError as error:
            if writes:
                named = f"{path}: it" if path else "the directory"
                raise TreeRefused(self.place, f"{named} cannot be made there: {error.strerror}") from error
            raise PathNotFound(self.place, path) from error
        except OSError as error:
            raise TreeUnavailable(self.place, f"{path or 'it'}: {error.strerror}") from error


_UNFINISHED_S = 24 * 3600


def _unfinished(mark: str | None) -> str:
    """Return how the name of a file begins that is being written."""
    return HIDDEN if mark is None else f"{HIDDEN}{mark}-"


def _fill(file: BinaryIO, body: bytes | BinaryIO) -> None:
    if isinstance(body, bytes):
        file.write(body)
    else:
        while piece := body.read(PIECE):
            file.write(piece)
    file.flush()


def _tag(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"


def _entry(path: str, found: os.stat_result) -> Entry:
    return Entry(path, found.st_size, found.st_mtime_ns // 1000, _tag(found))


def _is_text(name: str) -> bool:
    """Return whether a name is UTF-8, as paths in feeds are."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _order(each: os.DirEntry[str]) -> bytes:
    """Return what sorts names as whole paths are sorted: what lies in ``a`` comes after ``a-b``."""
    return os.fsencode(f"{each.name}/" if each.is_dir(follow_symlinks=False) else each.name)


def _make_durable(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
