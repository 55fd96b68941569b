"""Objects as files of one directory.

Layout: ``objects/AB/KEY`` holds the whole objects (``AB``: first two characters of the key's SHA-256,
so that no directory grows without bound), ``incoming/KEY`` what is being written. A write goes to
``incoming``, is flushed to the disk, and is then renamed into ``objects``; the directory is flushed too.
A reader therefore sees the whole object or none of it, also after a power cut, and a crash leaves at
most a file in ``incoming``, which ``delete`` of that key removes.

Pieces whose memory and length fit the disk's blocks are written past the page cache (``O_DIRECT``): the
same bytes cost a tenth of the processor time, are on the disk when the write returns, and do not push
everything else out of memory (``docs/decisions/0004-direct-writes.md``). Where the file system or the
piece does not allow it, the kernel says ``EINVAL`` and the same descriptor goes on through the cache.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from headwater.config import Section
from headwater.errors import SettingsError
from headwater.stores.store import Abilities, ObjectNotFound, Piece, Stored, StoreFull, StoreUnavailable, checked_key

_FLUSH_EVERY = 64 << 20  # bytes through the page cache between two flushes, so that the last one is short
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DIRECT: int = getattr(os, "O_DIRECT", 0)


class FileStoreSettings(Section):
    """Section ``[stores.NAME]`` with ``type = "file"``."""

    type: Literal["file"] = "file"
    root: Annotated[
        Path | None,
        Field(description="Directory that holds the bytes; created if missing. Default: DATA_DIR/stores/NAME."),
    ] = None
    direct: Annotated[bool, Field(description="Write past the page cache where the file system allows it.")] = True
    fsync: Annotated[bool, Field(description="Flush each object to the disk before it is visible.")] = True
    chunk_size: Annotated[int, Field(description="Largest piece read at once, in bytes.", ge=4096, le=64 << 20)] = (
        256 << 10
    )


class FileStore:
    """One directory on a local or shared file system."""

    abilities = Abilities(shared_by_processes=True, gives_paths=True)

    def __init__(self, name: str, settings: FileStoreSettings, default_root: Path) -> None:
        """Open the directory, creating what is missing.

        Raises:
            SettingsError: The directory cannot be created or written.
        """
        self.name = name
        self._settings = settings
        self._root = settings.root or default_root
        self._objects, self._incoming = self._root / "objects", self._root / "incoming"
        try:
            for directory in (self._objects, self._incoming):
                directory.mkdir(parents=True, exist_ok=True)
            _probe(self._incoming)
        except OSError as error:
            raise SettingsError(
                f"section [stores.{name}], key 'root': cannot write to the directory {self._root}: {error.strerror}; "
                "give a directory that this user may write to"
            ) from error

    def begin(self, key: str, size: int | None = None) -> FileWriter:
        checked_key(key)
        if size is not None and size > self._free():
            raise StoreFull(self.name, size)
        return FileWriter(self.name, key, self._incoming / key, self._file(key), self._settings)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            descriptor = os.open(self._file(checked_key(key)), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ObjectNotFound(self.name, key) from error
        except OSError as error:
            raise StoreUnavailable(self.name, str(error.strerror)) from error
        return _Pieces(self.name, descriptor, start, length, self._settings.chunk_size)

    def path(self, key: str) -> Path:
        self.stat(key)
        return self._file(key)

    def url(self, key: str) -> str:
        return self._file(checked_key(key)).absolute().as_uri()

    def stat(self, key: str) -> Stored:
        try:
            return Stored(key, self._file(checked_key(key)).stat().st_size)
        except FileNotFoundError as error:
            raise ObjectNotFound(self.name, key) from error
        except OSError as error:
            raise StoreUnavailable(self.name, str(error.strerror)) from error

    def list(self, prefix: str = "") -> Iterator[Stored]:
        try:
            for directory in self._objects.iterdir():
                for file in directory.iterdir():
                    if file.name.startswith(prefix):
                        with contextlib.suppress(FileNotFoundError):  # deleted since the directory was read
                            yield Stored(file.name, file.stat().st_size)
        except OSError as error:
            raise StoreUnavailable(self.name, str(error.strerror)) from error

    def delete(self, key: str) -> None:
        checked_key(key)
        try:
            for file in (self._incoming / key, self._file(key)):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(self.name, str(error.strerror)) from error

    def ping(self) -> None:
        try:
            _probe(self._incoming)
        except OSError as error:
            raise StoreUnavailable(self.name, str(error.strerror)) from error

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _file(self, key: str) -> Path:
        return self._objects / hashlib.sha256(key.encode()).hexdigest()[:2] / key

    def _free(self) -> int:
        try:
            state = os.statvfs(self._incoming)
        except OSError as error:
            raise StoreUnavailable(self.name, str(error.strerror)) from error
        return state.f_bavail * state.f_frsize


class _Pieces(Iterator[bytes]):
    """The bytes of one open file. Not a generator: one that nobody has begun never closes its file."""

    def __init__(self, store: str, descriptor: int, start: int, length: int | None, chunk_size: int) -> None:
        self._store, self._descriptor, self._position = store, descriptor, start
        self._left, self._chunk_size = length, chunk_size

    def __next__(self) -> bytes:
        want = self._chunk_size if self._left is None else min(self._left, self._chunk_size)
        if want <= 0 or self._descriptor < 0:
            self.close()
            raise StopIteration
        try:
            piece = os.pread(self._descriptor, want, self._position)
        except OSError as error:
            self.close()
            raise StoreUnavailable(self._store, str(error.strerror)) from error
        if not piece:
            self.close()
            raise StopIteration
        self._position += len(piece)
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Let go of the file, read to its end or not."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class FileWriter:
    """One file in ``incoming`` on its way into ``objects``."""

    def __init__(self, store: str, key: str, part: Path, final: Path, settings: FileStoreSettings) -> None:
        self._store, self._key, self._part, self._final = store, key, part, final
        self._fsync = settings.fsync
        self._size = 0
        self._unflushed = 0
        self._descriptor = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._direct = settings.direct and _DIRECT != 0
        with self._translated():
            if self._direct:
                try:
                    self._descriptor = os.open(part, flags | _DIRECT, 0o640)
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    self._direct = False
            if self._descriptor < 0:
                self._descriptor = os.open(part, flags, 0o640)

    def write(self, piece: Piece) -> None:
        view = memoryview(piece).cast("B")
        with self._translated():
            while view.nbytes:
                try:
                    written = os.write(self._descriptor, view)
                except OSError as error:
                    if error.errno != errno.EINVAL or not self._direct:
                        raise
                    self._through_the_cache()
                    continue
                view = view[written:]
                self._size += written
                if not self._direct:
                    self._flush_now_and_then(written)

    def commit(self) -> Stored:
        with self._translated():
            if self._fsync:
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            if not self._final.parent.is_dir():
                self._final.parent.mkdir(exist_ok=True)
                self._flush_directory(self._final.parent.parent)
            # Rename last: a reader sees the whole object or none of it, also after a power cut.
            self._part.replace(self._final)
            self._flush_directory(self._final.parent)
        return Stored(self._key, self._size)

    def abort(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with self._translated():
            self._part.unlink(missing_ok=True)

    def _through_the_cache(self) -> None:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~_DIRECT)
        self._direct = False

    def _flush_now_and_then(self, written: int) -> None:
        self._unflushed += written
        if self._fsync and self._unflushed >= _FLUSH_EVERY:
            os.fdatasync(self._descriptor)
            self._unflushed = 0

    def _flush_directory(self, directory: Path) -> None:
        if not self._fsync:
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFull(self._store) from error
            raise StoreUnavailable(self._store, str(error.strerror)) from error


def _probe(directory: Path) -> None:
    """Raise ``OSError`` unless files can be made in ``directory``."""
    probe = directory / f".probe-{os.getpid()}"
    probe.write_bytes(b"")
    probe.unlink(missing_ok=True)
