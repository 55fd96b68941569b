"""Objects as files of one directory.

Layout: ``objects/AB/NAME`` holds the whole objects (``AB``: first two characters of the key's SHA-256,
so that no directory grows without bound), ``incoming/NAME`` what is being written, ``store-id`` the mark. ``NAME`` is
the key with ``~``, which no key has, for each ``/``: so ``a`` is never in the way of ``a/b``, and no directory is made
for a key or left over. A write goes to ``incoming``, is flushed to the disk, and is then renamed into ``objects``; the
directory is flushed too. A reader therefore sees the whole object or none of it, also after a power cut, and a crash
leaves at most a file in ``incoming``, which ``delete`` of that key removes.

A writer that resumes opens what lies in ``incoming`` and flushes it before it tells its length: a file system that
orders data before lengths, as those in use do, has every byte up to there. It holds a lock on the file (``flock``),
which ends with its process, so two never write at once.

Each call looks the directory up anew and does all its work relative to what it found there, mark included. So a
file system that is mounted or unmounted at any moment is seen whole or not at all: no call takes the bare mount
point for the store, and no object is put where the next lookup would not find it.

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from headwater.errors import SettingsError
from headwater.stores.store import (
    IDENTITY,
    Abilities,
    ForeignUrl,
    ObjectNotFound,
    Piece,
    Stored,
    StoreFull,
    StoreRefusesWrites,
    StoreUnavailable,
    WriteLost,
    WriterBusy,
    checked_key,
    is_key,
)
from headwater.stores.store_type import StoreSettings, StoreType

MARK = "store-id"

_FLUSH_EVERY = 64 << 20  # bytes through the page cache between two flushes, so that the last one is short
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DIRECT: int = getattr(os, "O_DIRECT", 0)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PROBE = bytes(4096)  # one block: an empty file can be made on a full disk


class FileStoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "file"``."""

    abilities: ClassVar[Abilities] = Abilities(shared_by_processes=True, gives_paths=True, resumes=True)

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

    @property
    def directory(self) -> Path | None:
        return self.root

    def told(self, own: Path) -> Mapping[str, Any]:
        return {"data_dir": str(self.root or own), "chunk_size": self.chunk_size, "thin_provisioning": False}


class FileStore:
    """One directory on a local or shared file system."""

    abilities = FileStoreSettings.abilities

    def __init__(self, name: str, settings: FileStoreSettings, default_root: Path) -> None:
        """Name the directory; nothing is looked at yet."""
        self.name = name
        self.settings = settings
        self._root = settings.root or default_root
        self._expected: str | None = None

    def identity(self) -> str | None:
        try:
            with self._looked_up() as root:
                return _mark(root)
        except FileNotFoundError:
            return None

    def mark(self, identity: str) -> str:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root = os.open(self._root, _DIRECTORY)
            try:
                for name in ("objects", "incoming"):
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=root)
                return _mark(root) or _marked(root, identity)
            finally:
                os.close(root)
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFull(self.name) from error
            raise SettingsError(
                f"section [stores.{self.name}], key 'root': cannot write to the directory {self._root}: "
                f"{error.strerror}; give a directory that this user may write to"
            ) from error

    def expect(self, identity: str) -> None:
        self._expected = identity

    def begin(self, key: str, size: int | None = None) -> FileWriter:
        checked_key(key)
        with self.there() as root:
            if size is not None:
                state = os.fstatvfs(root)
                if size > state.f_bavail * state.f_frsize:
                    raise StoreFull(self.name, size)
            return FileWriter(self, key, root)

    def resume(self, key: str) -> FileWriter:
        checked_key(key)
        with self.there() as root:
            return FileWriter(self, key, root, resumes=True)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            with self._looked_up() as root:
                descriptor = os.open(_file(checked_key(key)), os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
        except FileNotFoundError as error:
            raise ObjectNotFound(self.name, key) from error
        return _Pieces(self.name, descriptor, start, length, self.settings.chunk_size)

    def path(self, key: str) -> Path:
        self.stat(key)
        return self._root / _file(key)

    def url_of(self, key: str) -> str:
        return (self._root / _file(checked_key(key))).absolute().as_uri()

    def key_of(self, url: str) -> str:
        key = url.rpartition("/")[2].replace("~", "/")
        if is_key(key) and self.url_of(key) == url:
            return key
        raise ForeignUrl(self.name, url)

    def presigned(self, key: str, expires_s: int) -> None:
        """Return ``None``: files are read by this machine."""

    def stat(self, key: str) -> Stored:
        try:
            with self._looked_up() as root:
                return _stored(key, os.stat(_file(checked_key(key)), dir_fd=root))
        except FileNotFoundError as error:
            raise ObjectNotFound(self.name, key) from error

    def list(self, prefix: str = "") -> Iterator[Stored]:
        with contextlib.suppress(FileNotFoundError), self._looked_up() as root:
            for directory in _names(root, "objects"):
                for name in _names(root, f"objects/{directory}"):
                    key = name.replace("~", "/")
                    if key.startswith(prefix):
                        with contextlib.suppress(FileNotFoundError):  # deleted since the directory was read
                            yield _stored(key, os.stat(f"objects/{directory}/{name}", dir_fd=root))

    def delete(self, key: str) -> None:
        checked_key(key)
        with self.there() as root:
            for file in (_part(key), _file(key)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file, dir_fd=root)

    def ping(self) -> None:
        with self.there() as root:
            try:
                _probe(root)
            except OSError as error:
                if error.errno in _FULL or error.errno == errno.EROFS:
                    raise StoreRefusesWrites(self.name, is_full=error.errno != errno.EROFS) from error
                raise

    def close(self) -> None:
        """Nothing is held open between calls."""

    @contextlib.contextmanager
    def there(self) -> Iterator[int]:
        """Give a descriptor of the directory that is the store now; whatever is missing makes it unavailable."""
        try:
            with self._looked_up() as root:
                yield root
        except FileNotFoundError as error:
            raise StoreUnavailable(self.name, f"something is missing in {self._root}") from error

    @contextlib.contextmanager
    def _looked_up(self) -> Iterator[int]:
        """Give a descriptor of the directory that is the store now.

        Raises:
            FileNotFoundError: What was looked for in it is not there; or all of it, if nobody said what to expect.
            StoreUnavailable: The directory is not this store, or does not work.
        """
        try:
            try:
                root = os.open(self._root, _DIRECTORY)
            except FileNotFoundError:
                self._require_expected(None)
                raise
            try:
                if self._expected is not None:
                    self._require_expected(_mark(root))
                yield root
            finally:
                os.close(root)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreUnavailable(self.name, f"{self._root}: {error.strerror}") from error

    def _require_expected(self, found: str | None) -> None:
        if found == self._expected:
            return
        what = f"has the {MARK} of another store" if found else f"has no {MARK}; is it mounted?"
        raise StoreUnavailable(self.name, f"the directory {self._root} {what}")


def _stored(key: str, state: os.stat_result) -> Stored:
    return Stored(key, state.st_size, state.st_mtime_ns // 1000)


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

    def __init__(self, store: FileStore, key: str, root: int, *, resumes: bool = False) -> None:
        """Make the file, or open what there is of it; ``root`` is the store's directory, for the time of this call."""
        self._store, self._key, self._part = store, key, _part(key)
        self._fsync = store.settings.fsync
        self._size = 0
        self._unflushed = 0
        self._descriptor, self._suspended = -1, False
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if resumes else os.O_TRUNC)
        self._direct = store.settings.direct and _DIRECT != 0
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
                os.rename(_file(self._key), self._part, src_dir_fd=root, dst_dir_fd=root)

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
                raise WriterBusy(self._store.name, self._key) from error
            raise

    @property
    def size(self) -> int:
        return self._size

    def written(self) -> Iterator[bytes]:
        with self._translated():
            descriptor = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        return _Pieces(self._store.name, descriptor, 0, self._size, self._store.settings.chunk_size)

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
        with self._store.there() as root, self._translated():
            if self._fsync:
                os.fsync(self._descriptor)
            self._require_part(root)
            final = _file(self._key)
            directory = final.rpartition("/")[0]
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700, dir_fd=root)
                self._flush_directory(root, "objects")
            # Rename last: a reader sees the whole object or none of it, also after a power cut.
            try:
                os.rename(self._part, final, src_dir_fd=root, dst_dir_fd=root)
            except FileNotFoundError as error:
                raise WriteLost(self._store.name, self._key) from error
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
        raise WriteLost(self._store.name, self._key)

    def abort(self) -> None:
        if self._suspended:
            return
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        with contextlib.suppress(StoreUnavailable), self._store.there() as root:
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
        descriptor = os.open(directory, _DIRECTORY, dir_fd=root)
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
                raise StoreFull(self._store.name) from error
            raise StoreUnavailable(self._store.name, str(error.strerror)) from error


def _file(key: str) -> str:
    return f"objects/{hashlib.sha256(key.encode()).hexdigest()[:2]}/{key.replace('/', '~')}"


def _part(key: str) -> str:
    return f"incoming/{key.replace('/', '~')}"


def _names(root: int, directory: str) -> list[str]:
    descriptor = os.open(directory, _DIRECTORY, dir_fd=root)
    try:
        return os.listdir(descriptor)  # noqa: PTH208 - of a descriptor
    finally:
        os.close(descriptor)


def _mark(root: int) -> str | None:
    """Return the mark of the directory; ``None`` when it has none, or none that we wrote."""
    try:
        descriptor = os.open(MARK, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        found = os.read(descriptor, 64).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    return found if IDENTITY.fullmatch(found) else None


def _marked(root: int, identity: str) -> str:
    """Mark a directory that has no mark, durably, and return its mark: of several at once the first one's."""
    _probe(root)
    part = f"{MARK}.{identity}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=root)
    try:
        try:
            os.write(descriptor, f"{identity}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # somebody was first; or the file system has no links
            os.link(part, MARK, src_dir_fd=root, dst_dir_fd=root)
        if _mark(root) is None:
            os.rename(part, MARK, src_dir_fd=root, dst_dir_fd=root)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=root)
    os.fsync(root)
    return _mark(root) or identity


def _probe(root: int) -> None:
    """Raise ``OSError`` unless a block of bytes can be written in ``root``."""
    probe = f"incoming/.probe-{os.getpid()}"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=root)
    try:
        os.write(descriptor, _PROBE)
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(probe, dir_fd=root)


TYPE = StoreType(
    "file",
    FileStoreSettings,
    lambda name, settings, around: FileStore(name, settings, around.data_dir / "stores" / name),
)
