"""The files of a feed in the target: those that are missing or wrong are fetched, all others are left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from headwater.clock import Clock
from headwater.streams.mirroring.documents.choosing import DISPUTED, Chosen
from headwater.streams.mirroring.files.fetching import Bad, Fetcher
from headwater.streams.mirroring.files.file import File
from headwater.streams.mirroring.files.hashing import wrong_files
from headwater.streams.mirroring.files.pace import Pace
from headwater.streams.mirroring.held import Held
from headwater.streams.mirroring.report import Report
from headwater.streams.mirroring.state import State
from headwater.streams.mirroring.wanted import Wanted
from headwater.streams.trees.tree import Tree

Shown = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

MIB = 1 << 20
_NO_HASH = "the feed tells no hash of it, so nobody can say whether it is right"


class Transfer:
    """One run's files."""

    def __init__(
        self,
        source: Tree,
        target: Tree,
        wanted: Wanted,
        report: Report,
        *,
        shown: Shown,
        clock: Clock,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.present: dict[str, int] = {}  # sizes of the files that are there and may be right, by ``File.key``
        self._source, self._target, self._wanted, self._report = source, target, wanted, report
        self._shown, self._clock, self._sleep = shown, clock, sleep

    def bring(
        self,
        state: State,
        held: Held,
        chosen: Iterable[Chosen],
        documents: Collection[str],
        *,
        all_or_nothing: bool,
    ) -> None:
        """Bring the files that are wanted into the target; the report tells what became of them.

        Args:
            documents: The paths of the documents, where no file may lie.
            all_or_nothing: A file that did not come keeps all documents as they are. Then nothing that they name is
                replaced by something else.
        """
        report = self._report
        files, problems = _joined(chosen)
        if self._wanted.metadata_only:
            report.not_fetched = len(files)
            return
        keys = files.keys() | held.files.keys()
        self.present = {entry.path: entry.size for entry in self._target.list() if entry.path in keys}
        fetchable = self._fetchable(files, problems, documents)
        missing = {key: file for key, file in fetchable.items() if self._is_missing(key, file)}
        unsure = [file for key, file in fetchable.items() if key not in missing and not self._is_known(file, held)]
        wrong = {each.file.key: each.file for each in self._hashed(unsure)}
        report.same = len(fetchable) - len(missing) - len(wrong)
        there = {key for key in missing if key in self.present} | wrong.keys()
        # What readers see already, and what will be something else, is replaced last, right before the documents.
        last = [key for key in there if held.files.get(key) not in (None, fetchable[key])]
        first = [key for key in (*missing, *wrong) if key not in set(last)]
        if self._wanted.dry_run:
            report.fetched = [fetchable[key].path for key in (*first, *last)]
            report.fetched_bytes = sum(fetchable[key].size or 0 for key in (*first, *last))
        else:
            state.note((key for key in first if key not in held.files), self._clock)
            state.save(self._target)
            groups = [fetchable[key] for key in first], [fetchable[key] for key in last]
            self._fetch(*groups, all_or_nothing=all_or_nothing)
        paths = {fetchable[key].path for key in there}
        report.repaired = [path for path in report.fetched if path in paths]

    def _fetchable(
        self, files: Mapping[str, File], problems: dict[str, str], documents: Collection[str]
    ) -> dict[str, File]:
        """Return the files that can be right; the others are bad."""
        problems |= dict.fromkeys(
            files.keys() & _directories((*files, *documents)), "it is a directory of other files too"
        )
        problems |= dict.fromkeys(files.keys() & set(documents), "it is a document of the feed too")
        if not self._wanted.unhashed:
            problems |= {key: _NO_HASH for key, file in files.items() if file.digest is None and key not in problems}
        self._report.bad += [
            Bad(files[key], f"{self._source.place}: {files[key].path}: {each}") for key, each in problems.items()
        ]
        return {key: file for key, file in files.items() if key not in problems}

    def _is_missing(self, key: str, file: File) -> bool:
        size = self.present.get(key)
        return size is None or file.size not in (None, size)

    def _is_known(self, file: File, held: Held) -> bool:
        """Return whether a document that is there says the same of a file: it was verified before that was written.

        Of one without a hash there is nothing more to know than its size.
        """
        return file.digest is None or (not self._wanted.hashes_all and held.files.get(file.key) == file)

    def _hashed(self, files: list[File]) -> list[Bad]:
        if not files:
            return []
        with self._progress("verifying", files) as told:
            return wrong_files(self._target, files, self._wanted.parallel, told)

    def _fetch(self, first: list[File], last: list[File], *, all_or_nothing: bool) -> None:
        report = self._report
        with self._progress("fetching", [*first, *last]) as told:
            fetcher = Fetcher(
                self._source,
                self._target,
                parallel=self._wanted.parallel,
                pace=Pace(self._wanted.bytes_per_s),
                told=told,
                sleep=self._sleep,
            )
            self._came(fetcher.fetch(first))
            if not (report.bad and all_or_nothing):
                self._came(fetcher.fetch(last))
        report.fetched_bytes = fetcher.received

    def _came(self, result: tuple[list[File], list[Bad]]) -> None:
        fetched, bad = result
        self._report.fetched += [file.path for file in fetched]
        self._report.bad += bad
        self.present |= {file.key: file.size or 0 for file in fetched}
        for each in bad:
            self.present.pop(each.file.key, None)

    @contextmanager
    def _progress(self, what: str, files: list[File]) -> Iterator[Callable[[int], None]]:
        done, total = 0, sum(file.size or 0 for file in files)
        with self._shown(f"{what} {len(files)} files, {total / MIB:.1f} MiB", total) as shown:

            def told(size: int) -> None:
                nonlocal done
                done += size
                shown(done)

            yield told


def _joined(chosen: Iterable[Chosen]) -> tuple[dict[str, File], dict[str, str]]:
    """Return the files of all documents by their key, and what is wrong with those that documents disagree about."""
    files: dict[str, File] = {}
    problems: dict[str, str] = {}
    for each in chosen:
        problems |= each.disputed
        for key, file in each.files.items():
            known = files.setdefault(key, file)
            if known.agrees(file):
                files[key] = known.joined(file)
            else:
                problems[key] = DISPUTED
    return files, problems


def _directories(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        above = path.rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return found
