"""Many files fetched at once; one that is wrong or missing does not keep the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, cast

from headwater.errors import HeadwaterError
from headwater.streams.mirroring.files.downloads import Download
from headwater.streams.mirroring.files.file import File, WrongFile
from headwater.streams.mirroring.files.pace import Pace
from headwater.streams.trees.tree import Opened, PathChanged, Tree, TreeUnavailable

_MOST_SILENCE = 10  # files in a row for which the source did not answer: then it is not asked for the others


@dataclass(frozen=True, slots=True)
class Bad:
    """A file that the target does not have as the feed says, and why."""

    file: File
    problem: str


class Fetcher:
    """Fetches files of one tree into another."""

    def __init__(
        self,
        source: Tree,
        target: Tree,
        *,
        parallel: int = 8,
        pace: Pace | None = None,
        told: Callable[[int], None] = lambda _: None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Prepare.

        Args:
            parallel: How many files at once.
            told: Is told how many bytes came, from several threads, one at a time.
        """
        self._source, self._target, self._parallel = source, target, parallel
        self._pace, self._tell, self._sleep = pace or Pace(None), told, sleep
        self._lock, self._over = threading.Lock(), threading.Event()
        self._silence = 0
        self.received = 0  # bytes, those of files that turned out to be wrong too

    def fetch(self, files: Iterable[File]) -> tuple[list[File], list[Bad]]:
        """Fetch all; return those that came, and those that did not.

        Raises:
            TreeRefused, TreeUnavailable: The target takes nothing; those that came before stay.
        """
        waiting = iter(list(files))
        fetched: list[File] = []
        bad: list[Bad] = []

        def work() -> None:
            for file in waiting:  # shared by all threads; an iterator of a list gives each of its values once
                if self._over.is_set():
                    return
                problem = self._problem(file)
                if problem is None:
                    fetched.append(file)
                else:
                    bad.append(Bad(file, problem))

        with ThreadPoolExecutor(self._parallel, thread_name_prefix="mirror") as pool:
            try:
                for each in [pool.submit(work) for _ in range(self._parallel)]:
                    each.result()
            except BaseException:
                self._over.set()
                raise
        return fetched, bad

    def _problem(self, file: File) -> str | None:
        """Fetch one file; return what is wrong with it."""
        if self._silence >= _MOST_SILENCE:
            return f"{self._source.place}: it was not asked for, as the source does not answer any more"
        try:
            self._fetch(file)
        except HeadwaterError as error:
            if self._over.is_set():
                return str(error)
            if not isinstance(error, _SourceFailed):
                self._over.set()
                raise
            with self._lock:
                self._silence = self._silence + 1 if isinstance(error.failure, TreeUnavailable) else 0
            return str(error.failure)
        self._silence = 0
        return None

    def _fetch(self, file: File) -> None:
        try:
            self._once(file, self._begun(file))
        except _SourceFailed as error:
            # What was put together from two answers may be of two files; what was replaced is there anew.
            if not error.may_be_two and not isinstance(error.failure, PathChanged):
                raise
            self._once(file)

    def _begun(self, file: File) -> Opened | None:
        """Return what an earlier run has of a file and did not finish."""
        begun = None if file.mark is None else self._target.begun(file.path, file.mark)
        if begun is None or None in (begun.size, file.size) or (begun.size or 0) < (file.size or 0):
            return begun
        begun.__exit__()  # there is nothing left to ask for
        return None

    def _once(self, file: File, begun: Opened | None = None) -> None:
        with Download(
            self._source, file, self._pace, told=self._told, is_over=self._over.is_set, sleep=self._sleep, begun=begun
        ) as download:
            try:
                self._target.write(file.path, cast("BinaryIO", download), size=file.size, mark=file.mark)
            except Exception as error:
                if download.failure is None:
                    raise
                may_be_two = download.resumed and isinstance(download.failure, WrongFile)
                raise _SourceFailed(download.failure, may_be_two=may_be_two) from error
            finally:
                with self._lock:
                    self.received -= download.found

    def _told(self, size: int) -> None:
        with self._lock:
            self.received += size
            self._tell(size)


class _SourceFailed(HeadwaterError):
    """It is the source, and not the target, for which a file did not come."""

    def __init__(self, failure: HeadwaterError, *, may_be_two: bool) -> None:
        super().__init__(str(failure))
        self.failure, self.may_be_two = failure, may_be_two
