"""The directory of a cache. All that is known of the cache lies there, so that several processes share it::

    ROOM/GROUP.ALGORITHM.HASH.SIZE     data that is whole and checked; read last at its access time
    filling/GROUP.ALGORITHM.HASH.SIZE  data that is being fetched, by the process that holds the kernel's lock of it
    hits/GROUP.ALGORITHM.HASH.SIZE     one byte for each time that it was read
    lock                               locked for the moments in which files change together

The last byte of what is fetched is written only when all is right; then the file is made durable and gets its name in
``ROOM``. What a process leaves that is killed is locked by nobody: the next who wants the same takes it up where the
directory ``resumes``, and else it is removed by the next who looks. What has no such name, or is no file of our own, is
neither given to anybody nor touched. A directory that is lost while it is used is made anew when it is missed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headwater.errors import SettingsError, Unavailable
from headwater.time_marks import keeps_marks, mark_in, mark_of, set_now

_log = logging.getLogger(__name__)

_RESUMED_S = 24 * 3600  # for how long what was begun is worth the room that it takes


class CacheUnavailable(Unavailable):
    """The directory of the cache does not work at the moment."""

    def __init__(self, directory: Path, error: OSError) -> None:
        super().__init__(f"the cache in {directory} does not work: {error.strerror or error}")
        self.directory = directory

    @property
    def told(self) -> str:
        return "The cache does not work at the moment. Try again later."


@dataclass(frozen=True, slots=True)
class CachedFile:
    """What is kept under one name."""

    name: str
    group: str  # what the name begins with
    size: int
    last_accessed: float  # seconds since 1970
    last_modified: float
    hits: int


@dataclass(frozen=True, slots=True)
class Filling:
    """Data that is being fetched: an open file."""

    file: int
    is_ours: bool  # it is for us to fetch it; if not, somebody does
    begun: int = 0  # bytes that somebody fetched before, for us to go on


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed."""

    files: int = 0
    bytes: int = 0


class KeptFiles:
    """The files of a cache; safe to use from several threads and processes.

    Each call raises ``CacheUnavailable`` when the directory does not work, unless it says otherwise.
    """

    def __init__(
        self,
        root: Path,
        max_size: int,
        *,
        setting: str,
        room: str = "files",
        groups: str = "[a-z]+",
        others: tuple[str, ...] = (),
        resumes: bool = False,
        marks: bool = False,
    ) -> None:
        """Make the directory ready.

        Args:
            setting: The one that named it, for the operator.
            room: What the directory of whole files is called in it.
            groups: Matches what names begin with.
            others: More directories in it.
            resumes: What was begun and left is fetched further, and not removed as long as there is room.
            marks: What somebody touched since it was kept is not there any more, where the file system tells.

        Raises:
            SettingsError: Nothing can be kept there.
        """
        self.root, self.max_size, self.resumes = root, max_size, resumes
        self._room, self._names = room, name_pattern(groups)
        self._places = tuple(root / each for each in (room, "filling", "hits", *others))
        self._setting = setting
        self._make()
        try:
            with self._locked():
                self._marks = marks and keeps_marks(root)
        except OSError as error:
            raise SettingsError(f"{setting}: cannot keep anything in {root}: {error.strerror}") from error

    def _make(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for place in self._places:
                with contextlib.suppress(FileExistsError):
                    place.mkdir(mode=0o700)
                found = place.lstat()
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                    raise SettingsError(
                        f"{self._setting}: {place} is no directory of the user that runs "
                        "Headwater: remove it, or name another directory"
                    )
                place.chmod(0o700)
        except OSError as error:
            raise SettingsError(f"{self._setting}: cannot keep anything in {self.root}: {error.strerror}") from error

    def _make_anew(self) -> None:
        """Make the directory, or what it is made of, when somebody has removed it; who holds its lock may call this."""
        if all(map(os.path.lexists, self._places)):
            return
        try:
            self._make()
        except SettingsError as error:
            raise CacheUnavailable(self.root, OSError(str(error))) from error
        _log.warning("the directory of a cache was gone, and is made anew", extra={"directory": str(self.root)})

    # --- What is there ---------------------------------------------------------------------------

    def find(self, name: str) -> Path | None:
        """Return the file of this name that is whole; ``None`` where there is none, or the directory does not work."""
        path = self.root / self._room / name
        try:
            return path if self._is_whole(name, path.lstat()) else None
        except OSError:
            return None

    def hit(self, name: str) -> None:
        """Note that it is read; where that cannot be noted, nothing is."""
        path = self.root / self._room / name
        with contextlib.suppress(OSError):
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns), follow_symlinks=False)
            # Appending is one step, also where several processes do it.
            file = open_own(self.root / "hits" / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                os.write(file, b"+")
            finally:
                os.close(file)

    def files(self) -> list[CachedFile]:
        """Return all that is whole, what was read last at the end."""
        with self.working():
            found = [
                CachedFile(
                    name=name,
                    group=group_of(name),
                    size=about.st_size,
                    last_accessed=max(about.st_atime, about.st_mtime),
                    last_modified=about.st_mtime,
                    hits=self._hits(name),
                )
                for name, about in self._ours(self._room)
                if self._is_whole(name, about)
            ]
        return sorted(found, key=lambda each: each.last_accessed)

    def _is_whole(self, name: str, about: os.stat_result) -> bool:
        return _is_whole(name, about) and (not self._marks or mark_in(about) == mark_of(name))

    def _hits(self, name: str) -> int:
        with contextlib.suppress(OSError):
            return (self.root / "hits" / name).lstat().st_size
        return 0

    def _ours(self, room: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the files of a room that are ours by name, kind and owner."""
        with os.scandir(self.root / room) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    about = entry.stat(follow_symlinks=False)
                    if self._names.fullmatch(entry.name) and is_file_of_ours(about):
                        yield entry.name, about

    # --- What is fetched -------------------------------------------------------------------------

    def begin(self, name: str) -> Filling | Path | None:
        """Begin to fetch what is called ``name``, or follow whoever does.

        Returns a file that is whole already; ``None`` when there is no room, however much is removed.
        """
        path = self.root / "filling" / name
        with self.alone():
            whole = self.find(name)
            if whole is not None:
                return whole
            with contextlib.suppress(FileNotFoundError):
                file = open_own(path, os.O_RDWR)
                if not _is_left(file):
                    return Filling(file, is_ours=False)
                begun = os.fstat(file).st_size if self.resumes else 0
                if 0 < begun <= size_of(name) and self._make_room(size_of(name), resumed=name, begun=begun):
                    fcntl.flock(file, fcntl.LOCK_EX)
                    return Filling(file, is_ours=True, begun=begun)
                os.close(file)
                path.unlink()
            if not self._make_room(size_of(name)):
                return None
            file = open_own(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            fcntl.flock(file, fcntl.LOCK_EX)
            return Filling(file, is_ours=True)

    def keep(self, name: str, file: int) -> bool:
        """Make what was fetched durable, and then visible; return ``False`` where it was removed meanwhile."""
        with self.working():
            if self._marks:
                set_now(file, mark_of(name))
            os.fsync(file)
        path = self.root / "filling" / name
        with self.alone():
            if not _is_same(file, path):
                return False
            path.rename(self.root / self._room / name)
            return True

    def discard(self, name: str, file: int) -> None:
        """Remove what could not be fetched; where that fails, it is left to the next who looks."""
        path = self.root / "filling" / name
        with contextlib.suppress(CacheUnavailable), self.alone():
            if _is_same(file, path):
                path.unlink()

    # --- What goes -------------------------------------------------------------------------------

    def remove(self, group: str) -> bool:
        """Remove what is kept of a group, also what is being fetched of it; return whether there was any."""
        return self._remove(lambda name: group_of(name) == group).files > 0

    def clear(self) -> Removed:
        """Remove everything."""
        return self._remove(lambda _: True)

    def prune(self, keeps: Callable[[str], bool]) -> Removed:
        """Remove what is not to be kept, by its name, and then what was not read for longest, until the rest fits."""
        removed = self._remove(lambda name: not keeps(name))
        with self.alone():
            before = self.files()
            self._make_room(0)
            left = {each.name for each in self.files()}
        more = [each.size for each in before if each.name not in left]
        return Removed(removed.files + len(more), removed.bytes + sum(more))

    def clean(self) -> None:
        """Remove what broken fetches left, files that are cut off, and counts of what is gone."""
        with self.alone():
            self._fetched()
            for name, about in list(self._ours(self._room)):
                if not self._is_whole(name, about):
                    self._unlink(self._room, name)
            for name, _ in list(self._ours("hits")):
                if self.find(name) is None:
                    self._unlink("hits", name)

    def _remove(self, goes: Callable[[str], bool]) -> Removed:
        with self.alone():
            gone = [
                (room, name, about.st_size)
                for room in (self._room, "filling")
                for name, about in self._ours(room)
                if goes(name)
            ]
            for room, name, _ in gone:
                self._unlink(room, name)
        return Removed(len(gone), sum(size for _, _, size in gone))

    def _unlink(self, room: str, name: str) -> None:
        for each in {room, "hits"}:
            with contextlib.suppress(FileNotFoundError):
                (self.root / each / name).unlink()

    def _fetched(self, resumed: str | None = None) -> tuple[list[tuple[int, int]], list[tuple[str, int]]]:
        """Remove what broken fetches left and nobody will take up.

        Returns how much each that goes on will be and is; and the name and size of each that may be taken up.
        """
        lives, left = [], []
        for name, about in list(self._ours("filling")):
            if name == resumed:
                continue
            with contextlib.suppress(FileNotFoundError):
                file = open_own(self.root / "filling" / name, os.O_RDWR)
                try:
                    if not _is_left(file):
                        lives.append((size_of(name), about.st_size))
                    elif self.resumes and 0 <= time.time() - about.st_mtime < _RESUMED_S:
                        left.append((name, about.st_size))
                    else:
                        self._unlink("filling", name)
                finally:
                    os.close(file)
        return lives, left

    def _make_room(self, size: int, *, resumed: str | None = None, begun: int = 0) -> bool:
        """Remove what was not read for longest until ``size`` more bytes fit; return whether they do.

        Args:
            resumed: The name of what they are for, of which ``begun`` bytes are there already.
        """
        fetched, left = self._fetched(resumed)
        goes = [("filling", *each) for each in left] + [(self._room, each.name, each.size) for each in self.files()]
        claimed = sum(total for total, _ in fetched)
        free = shutil.disk_usage(self.root).free - sum(total - there for total, there in fetched)
        there = sum(each for _, _, each in goes)
        lacks = max(claimed + there + size - self.max_size, size - begun - free if size else 0)
        if size and lacks > there:
            return False
        for room, name, each in goes:
            if lacks <= 0:
                break
            self._unlink(room, name)
            lacks -= each
        return lacks <= 0

    # --- Taking turns ----------------------------------------------------------------------------

    def takes_turn(self, work: str, every_s: float) -> bool:
        """Return whether ``work``, which one process of this machine does, is due: then it is the caller's to do."""
        path = self.root / work
        with self.alone():
            with contextlib.suppress(FileNotFoundError):
                if 0 <= time.time() - path.lstat().st_mtime < every_s:
                    return False
            file = open_own(path, os.O_WRONLY | os.O_CREAT)
            try:
                os.utime(file)
            finally:
                os.close(file)
        return True

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the directory, which is held by everybody for a moment only."""
        with self.working(), self._locked():
            yield

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        file = open_own(self.root / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Turn what the system says into ``CacheUnavailable``."""
        self._make_anew()
        try:
            yield
        except OSError as error:
            raise CacheUnavailable(self.root, error) from error


def is_left(file: int) -> bool:
    """Return whether nobody fetches what is open as ``file`` any more."""
    return _is_left(file, fcntl.LOCK_SH)


def let_go(file: int) -> None:
    """Say that nobody fetches what is open as ``file`` any more."""
    fcntl.flock(file, fcntl.LOCK_UN)


def _is_left(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def open_own(path: Path, flags: int) -> int:
    """Open a file of a cache, which nobody else reads and no link leads to."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def name_pattern(groups: str) -> re.Pattern[str]:
    """Return what matches the names of files, of which ``groups`` matches the beginning."""
    return re.compile(rf"(?:{groups})\.[a-z0-9_]{{1,16}}\.[0-9a-f]{{32,128}}\.[0-9]{{1,19}}")


def group_of(name: str) -> str:
    """Return what a name begins with."""
    return name.partition(".")[0]


def size_of(name: str) -> int:
    """Return how many bytes the file of a name has when it is whole."""
    return int(name.rpartition(".")[2])


def is_file_of_ours(about: os.stat_result) -> bool:
    """Return whether it is a file, and this user's."""
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()


def _is_whole(name: str, about: os.stat_result) -> bool:
    return is_file_of_ours(about) and about.st_size == size_of(name)


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False
