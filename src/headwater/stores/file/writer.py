"""A file on its way into a store.

A writer that resumes opens what lies in ``incoming`` and flushes it before it tells its length: a file system that
orders data before lengths, as those in use do, has every byte up to there. It holds a lock on the file (``flock``),
which ends with its process, so two never write at once.

Pieces whose memory and length fit the disk's blocks are written past the page cache (``O_DIRECT``): the
same bytes cost a tenth of the processor time, are on the disk when the write returns, and do not push
everything else out of memory (``docs/decisions/0004-direct-writes.md``). Where the file system or the
piece does not allow it, the kernel says ``EINVAL`` and the same descriptor goes on through the cache.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from headwater.stores.file.layout import DIRECTORY, FULL, file_of, part_of
from headwater.stores.file.pieces import FilePieces
from headwater.stores.file.proof import set_right
from headwater.stores.file.settings import FileStoreSettings
from headwater.stores.store import Piece, Stored, StoreFull, StoreUnavailable, WriteLost, WriterBusy

_FLUSH_EVERY = 64 << 20  # bytes through the page cache between two flushes, so that the last one is short
_DIRECT: int = getattr(os, "O_DIRECT", 0)

There = Callable[[], AbstractContextManager[int]]


class FileWriter:
    """One file in ``incoming`` on its way into ``objects``."""

    def __init__(
        self, store: str, settings: FileStoreSettings, there: There, key: str, root: int, *, resumes: bool = False
    ) -> None:
        """Make the file, or open what there is of it.

        Args:
            there: Gives a descriptor of the store's directory when it is needed again.
            root: One of it for the time of this call.
        """
        self._store, self._key, self._part = store, key, part_of(key)
        self._there, self._chunk_size = there, settings.chunk_size
        self._fsync = settings.fsync
        self._size = 0
        self._unflushed = 0
        self._descriptor, self._suspended = -1, False
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if resumes else os.O_TRUNC)
        self._direct = settings.direct and _DIRECT != 0
        with self._translated():
            if resumes:
                self._take_back(root)
            if self._direct:
                try:
                    self._descriptor = os.open(self._part, flags | _DIRECT, 0o600, dir_fd=root)
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    self._direct = False
            if self._descriptor < 0:
                self._descriptor = os.open(self._part, flags, 0o600, dir_fd=root)
            if resumes:
                self._go_on(root)

    def _take_back(self, root: int) -> None:
        """Make a whole object unfinished again, unless there is an unfinished one."""
        try:
            os.stat(self._part, dir_fd=root)
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError):
                os.rename(file_of(self._key), self._part, src_dir_fd=root, dst_dir_fd=root)

    def _go_on(self, root: int) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._require_part(root)  # another may have finished or removed it before the lock
            if self._fsync:
                os.fsync(self._descriptor)
                self._flush_directory(root, "incoming")
            self._size = os.lseek(self._descriptor, 0, os.SEEK_END)
        except BaseException as error:
            os.close(self._descriptor)
            self._descriptor = -1
            if isinstance(error, BlockingIOError | WriteLost):
                raise WriterBusy(self._store, self._key) from error
            raise

    @property
    def size(self) -> int:
        return self._size

    def written(self) -> Iterator[bytes]:
        with self._translated():
            descriptor = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        return FilePieces(self._store, descriptor, 0, self._size, self._chunk_size)

    def cut(self, size: int) -> None:
        with self._translated():
            os.ftruncate(self._descriptor, size)
            self._size = os.lseek(self._descriptor, 0, os.SEEK_END)

    def suspend(self) -> int:
        if self._descriptor < 0:
            return self._size
        with self._translated():
            try:
                if self._fsync:
                    os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)
                self._descriptor, self._suspended = -1, True
        return self._size

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
        with self._there() as root, self._translated():
            set_right(self._descriptor, self._key)  # before the flush, which makes it last with the bytes
            if self._fsync:
                os.fsync(self._descriptor)
            self._require_part(root)
            final = file_of(self._key)
            directory = final.rpartition("/")[0]
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700, dir_fd=root)
                self._flush_directory(root, "objects")
            # Rename last: a reader sees the whole object or none of it, also after a power cut.
            try:
                os.rename(self._part, final, src_dir_fd=root, dst_dir_fd=root)
            except FileNotFoundError as error:
                raise WriteLost(self._store, self._key) from error
            finally:  # not before: with the file its lock is let go
                os.close(self._descriptor)
                self._descriptor = -1
            self._flush_directory(root, directory)
        return Stored(self._key, self._size)

    def _require_part(self, root: int) -> None:
        """Raise ``WriteLost`` unless what was written is what lies there now."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._part, dir_fd=root), os.fstat(self._descriptor)):
                return
        raise WriteLost(self._store, self._key)

    def abort(self) -> None:
        if self._suspended:
            return
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(StoreUnavailable), self._there() as root:
            os.unlink(self._part, dir_fd=root)

    def _through_the_cache(self) -> None:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~_DIRECT)
        self._direct = False

    def _flush_now_and_then(self, written: int) -> None:
        self._unflushed += written
        if self._fsync and self._unflushed >= _FLUSH_EVERY:
            os.fdatasync(self._descriptor)
            self._unflushed = 0

    def _flush_directory(self, root: int, directory: str) -> None:
        if not self._fsync:
            return
        descriptor = os.open(directory, DIRECTORY, dir_fd=root)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise StoreFull(self._store) from error
            raise StoreUnavailable(self._store, str(error.strerror)) from error
