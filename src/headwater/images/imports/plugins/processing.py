"""The plugins of one import at work: a source of which the bytes have gone through all of them."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.images.imports.plugins.plugin import Data, Plugin, PluginFailed, Work
from headwater.images.imports.sources import Source
from headwater.images.locations.rules import Validation
from headwater.images.model import Image

_PREFIX = "import-"
_log = logging.getLogger(__name__)


class Plugins:
    """The plugins that the settings choose; safe to use from several threads."""

    def __init__(self, chosen: Sequence[Plugin], scratch_dir: Path) -> None:
        self._chosen = chosen
        self.scratch_dir = scratch_dir.absolute()  # programs run in directories of their own in it

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._chosen)

    def want(self, image: Image, source: Source, work: Work) -> bool:
        """Return whether one of them reads what a source gives; its first bytes are read to tell."""
        with closing(source):
            source.open()
            data = _said_of(image).holding(source, size=source.size)
            return any(plugin.wants(data, work) for plugin in self._chosen)

    def told(self, image: Image, work: Work) -> Image:
        """Return an image whose data none of them reads, with what they say of it."""
        return _as_said(image, self.apply(_said_of(image), work))

    def apply(self, data: Data, work: Work) -> Data:
        """Return what the plugins make of the data, one after the other.

        Raises:
            PluginFailed: One of them cannot work on it.
        """
        for plugin in self._chosen:
            try:
                data = plugin.apply(data, work)
            except OSError as error:
                raise _no_scratch(error) from error
        return data


class Processed:
    """A source whose bytes the plugins have worked on; ``image`` is what it is to become, once that is open."""

    validator: str | None = None  # it may be other data the next time

    def __init__(
        self,
        source: Source,
        plugins: Plugins,
        image: Image,
        work: Callable[[Path], Work],
        *,
        validation: Validation | None,
        mismatch: Callable[[Validation, str], HeadwaterError],
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            work: Returns what plugins may use, given a directory.
            validation: What the hash must be that the data has before the plugins.
            mismatch: What is raised for another hash.
        """
        self.size: int | None = None
        self.image = image
        self._data = _said_of(image)
        self._source, self._plugins, self._work = source, plugins, work
        self._validation, self._mismatch = validation, mismatch
        self._hash = hashlib.new(validation.os_hash_algo, usedforsecurity=False) if validation else None
        self._raw: Iterator[bytes] = iter(())
        self._directory = Scratch(plugins.scratch_dir)

    def go_on(self, start: int, size: int | None, validator: str) -> bool:
        return False

    def open(self) -> None:
        self._source.open()
        work = self._work(self._directory.make())
        self._raw = self._read(work)
        data = self._data.holding(self._raw, size=self._source.size)
        self._data = self._plugins.apply(data, work)
        self.image, self.size = _as_said(self.image, self._data), self._data.size

    def __iter__(self) -> Iterator[bytes]:
        yield from self._data.pieces
        for _ in self._raw:  # what no plugin asked for is of the hash too
            pass
        if self._hash is not None and self._validation is not None:
            got = self._hash.hexdigest()
            if got != self._validation.os_hash_value:
                raise self._mismatch(self._validation, got)

    def _read(self, work: Work) -> Iterator[bytes]:
        done = 0
        for piece in self._source:
            if self._hash is not None:
                self._hash.update(piece)
            done += len(piece)
            work.advance(done, self._source.size)
            yield piece

    def close(self) -> None:
        self._source.close()
        self._directory.remove()


def _said_of(image: Image) -> Data:
    return Data(
        disk_format=image.disk_format or "raw",
        container_format=image.container_format or "bare",
        properties=dict(image.properties),
        pieces=iter(()),
    )


def _as_said(image: Image, data: Data) -> Image:
    return replace(
        image,
        disk_format=data.disk_format,
        container_format=data.container_format,
        properties=data.properties,
    )


# --- Directories ---------------------------------------------------------------------------------------


def _no_scratch(error: OSError) -> PluginFailed:
    return PluginFailed("scratch_dir", f"{error.strerror or error} (section [import_plugins])")


class Scratch:
    """A directory of one import; it is there from ``make`` to ``remove``.

    Whoever works in it holds a lock on it, which ends with the process; so one that nobody locks was left by a process
    that was killed, and goes when the next one is made.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._path: Path | None = None
        self._lock: int | None = None

    def make(self) -> Path:
        """Return a new directory, which nobody else may read.

        Raises:
            PluginFailed: None can be made.
        """
        try:
            return self._made()
        except OSError as error:
            raise _no_scratch(error) from error

    def _made(self) -> Path:
        self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._parent.glob(f"{_PREFIX}*"):
            self._clear(left)
        while True:
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
            lock = _locked(path)
            if lock is not None and path.exists():  # nobody took it for left behind before it was locked
                self._path, self._lock = path, lock
                return path

    def remove(self) -> None:
        """Remove it; nothing happens a second time."""
        if self._path is not None and self._lock is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
        self._path = self._lock = None

    @staticmethod
    def _clear(left: Path) -> None:
        lock = _locked(left)
        if lock is not None:
            _log.info("a directory that a killed import left is removed", extra={"path": str(left)})
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _locked(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a directory; None when somebody else has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it is gone
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
