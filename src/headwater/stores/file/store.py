"""One directory as a store.

Each call looks the directory up anew and does all its work relative to what it found there, mark included. So a
file system that is mounted or unmounted at any moment is seen whole or not at all: no call takes the bare mount
point for the store, and no object is put where the next lookup would not find it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from headwater.errors import SettingsError
from headwater.stores.file.layout import DIRECTORY, FULL, MARK, file_of, mark_of, marked, part_of, places_in, probe
from headwater.stores.file.pieces import FilePieces
from headwater.stores.file.proof import keeps_marks, proof_of, set_proof
from headwater.stores.file.settings import FileStoreSettings
from headwater.stores.file.writer import FileWriter
from headwater.stores.store import (
    ForeignUrl,
    ObjectNotFound,
    Proof,
    Stored,
    StoreFull,
    StoreRefusesWrites,
    StoreUnavailable,
    checked_key,
    is_key,
)
from headwater.stores.store_type import StoreType


class FileStore:
    """One directory on a local or shared file system."""

    abilities = FileStoreSettings.abilities

    def __init__(self, name: str, settings: FileStoreSettings, default_root: Path) -> None:
        """Name the directory; nothing is looked at yet."""
        self.name = name
        self.settings = settings
        self._root = settings.root or default_root
        self._expected: str | None = None
        self._keeps_marks: dict[int, bool] = {}  # of each file system that was in its place

    def identity(self) -> str | None:
        try:
            with self._looked_up() as root:
                return mark_of(root)
        except FileNotFoundError:
            return None

    def mark(self, identity: str) -> str:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root = os.open(self._root, DIRECTORY)
            try:
                for name in ("objects", "incoming"):
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=root)
                return mark_of(root) or marked(root, identity)
            finally:
                os.close(root)
        except OSError as error:
            if error.errno in FULL:
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
            self._require_room(root, size)
            return FileWriter(self.name, self.settings, self.there, key, root)

    def resume(self, key: str, size: int | None = None) -> FileWriter:
        checked_key(key)
        with self.there() as root:
            writer = FileWriter(self.name, self.settings, self.there, key, root, resumes=True)
            try:
                self._require_room(root, None if size is None else size - writer.size)
            except StoreFull:
                writer.suspend()
                raise
            return writer

    def _require_room(self, root: int, size: int | None) -> None:
        if size is not None:
            state = os.fstatvfs(root)
            if size > state.f_bavail * state.f_frsize:
                raise StoreFull(self.name, size)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            with self._looked_up() as root:
                descriptor = os.open(file_of(checked_key(key)), os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
        except FileNotFoundError as error:
            raise ObjectNotFound(self.name, key) from error
        return FilePieces(self.name, descriptor, start, length, self.settings.chunk_size)

    def path(self, key: str) -> Path:
        self.stat(key)
        return self._root / file_of(key)

    def url_of(self, key: str) -> str:
        return (self._root / file_of(checked_key(key))).absolute().as_uri()

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
                return _stored(key, os.stat(file_of(checked_key(key)), dir_fd=root))
        except FileNotFoundError as error:
            raise ObjectNotFound(self.name, key) from error

    def proof(self, key: str) -> Proof | None:
        try:
            with self._looked_up() as root:
                state = os.stat(file_of(checked_key(key)), dir_fd=root)
                found = proof_of(key, state)
                if found.is_right is None:
                    if state.st_dev not in self._keeps_marks:
                        self._keeps_marks[state.st_dev] = keeps_marks(root)
                    return found if self._keeps_marks[state.st_dev] else None
                return found
        except FileNotFoundError as error:
            raise ObjectNotFound(self.name, key) from error

    def prove(self, key: str, read: Proof, *, is_right: bool) -> None:
        with contextlib.suppress(FileNotFoundError), self._looked_up() as root:
            descriptor = os.open(file_of(checked_key(key)), os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
            try:
                set_proof(descriptor, key, read, is_right=is_right)
            finally:
                os.close(descriptor)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        with contextlib.suppress(FileNotFoundError), self._looked_up() as root:
            for key, place in places_in(root):
                if key.startswith(prefix):
                    with contextlib.suppress(FileNotFoundError):  # deleted since the directory was read
                        state = os.stat(place, dir_fd=root)
                        if stat.S_ISREG(state.st_mode):  # a file server may show its snapshots in each directory
                            yield _stored(key, state)

    def delete(self, key: str) -> None:
        checked_key(key)
        with self.there() as root:
            for file in (part_of(key), file_of(key)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file, dir_fd=root)

    def ping(self) -> None:
        with self.there() as root:
            try:
                probe(root)
            except OSError as error:
                if error.errno in FULL or error.errno == errno.EROFS:
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
                root = os.open(self._root, DIRECTORY)
            except FileNotFoundError:
                self._require_expected(None)
                raise
            try:
                if self._expected is not None:
                    self._require_expected(mark_of(root))
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


TYPE = StoreType(
    "file",
    FileStoreSettings,
    lambda name, settings, around: FileStore(name, settings, around.data_dir / "stores" / name),
)
