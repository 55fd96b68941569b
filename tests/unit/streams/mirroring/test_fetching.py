"""Files on their way: broken off, wrong, changed meanwhile, slow, and where nothing can be written."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.streams.mirroring.files.downloads import Download
from headwater.streams.mirroring.files.fetching import Fetcher
from headwater.streams.mirroring.files.file import File
from headwater.streams.mirroring.files.hashing import wrong_files
from headwater.streams.mirroring.files.pace import Pace
from headwater.streams.trees.arriving import Arriving
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.tree import PathChanged, TreeRefused, TreeUnavailable

CONTENT = bytes(range(256)) * 40
PIECE = 1000


def file(path: str = "images/a", content: bytes = CONTENT, algorithm: str = "sha256", **more: Any) -> File:
    digest = hashlib.new(algorithm, content).hexdigest()
    return File(**{"path": path, "size": len(content), "algorithm": algorithm, "digest": digest, **more})


class Flaky(DirectoryTree):
    """A source whose answers break off after ``cut`` bytes, ``times`` times."""

    def __init__(
        self, root: Path, cut: int = 0, times: int = 0, *, ranges: bool = True, tells_size: bool = True
    ) -> None:
        super().__init__(root)
        self.asked: list[tuple[int, str | None]] = []
        self.cut, self.times, self.ranges, self.tells_size = cut, times, ranges, tells_size
        self.content = CONTENT
        self.tag = "one"
        self.before: Callable[[], None] = lambda: None

    def open(self, path: str, start: int = 0, *, tag: str | None = None) -> Arriving:
        self.before()
        self.asked.append((start, tag))
        if tag not in (None, self.tag):
            raise PathChanged(self.place, path)
        began = start if self.ranges else 0
        size = len(self.content) if self.tells_size else None
        return Arriving(
            self,
            path,
            self._cut_off(path, self.content[began:]),
            tag=self.tag,
            size=size,
            start=began,
            close=lambda: None,
        )

    def _cut_off(self, path: str, content: bytes) -> Iterator[bytes]:
        breaks = self.times > 0
        self.times -= 1
        end = self.cut if breaks else len(content)
        for at in range(0, end, PIECE):
            yield content[at : min(at + PIECE, end)]
        if breaks:
            raise TreeUnavailable(self.place, f"{path}: the connection broke off")


@pytest.fixture
def target(tmp_path: Path) -> DirectoryTree:
    return DirectoryTree(tmp_path / "target")


def fetched(source: DirectoryTree, target: DirectoryTree, *files: File, **more: Any) -> list[str]:
    """Return what is wrong with files that were to be fetched."""
    return [each.problem for each in Fetcher(source, target, sleep=lambda _: None, **more).fetch(files)[1]]


def test_a_broken_download_goes_on_where_it_broke_off(tmp_path: Path, target: DirectoryTree) -> None:
    source = Flaky(tmp_path, cut=4500, times=2)
    assert fetched(source, target, file()) == []
    assert source.asked == [(0, None), (4500, "one"), (9000, "one")]
    assert target.read("images/a").body == CONTENT


def test_a_server_that_does_not_know_ranges_gives_the_whole_again(tmp_path: Path, target: DirectoryTree) -> None:
    source = Flaky(tmp_path, cut=4500, times=2, ranges=False)
    assert fetched(source, target, file()) == []
    assert target.read("images/a").body == CONTENT


def test_a_download_that_breaks_off_again_and_again_is_given_up(tmp_path: Path, target: DirectoryTree) -> None:
    source = Flaky(tmp_path, cut=10, times=99)
    slept: list[float] = []
    problems = Fetcher(source, target, sleep=slept.append).fetch([file()])[1]
    assert "broke off" in problems[0].problem
    assert slept == [1, 2, 4]
    assert list(target.list()) == []


def broken_off(tmp_path: Path, target: DirectoryTree) -> None:
    """Leave the first 4 500 bytes of a file in the target."""
    assert fetched(Flaky(tmp_path, cut=4500, times=99, ranges=False), target, file()) != []
    assert list(target.list()) == []


def left_in(target: DirectoryTree) -> list[int]:
    return [each.stat().st_size for each in target.root.glob("images/.headwater-*")]


def test_a_later_run_goes_on_where_an_earlier_one_broke_off(tmp_path: Path, target: DirectoryTree) -> None:
    broken_off(tmp_path, target)
    [left] = left_in(target)
    assert 0 < left < 4500  # the last piece was held back
    source = Flaky(tmp_path)
    fetcher = Fetcher(source, target)
    assert fetcher.fetch([file()])[1] == []
    assert source.asked == [(left, None)]
    assert (fetcher.received, left_in(target)) == (len(CONTENT) - left, [])
    assert target.read("images/a").body == CONTENT


def test_what_an_earlier_run_has_of_another_file_is_not_used(tmp_path: Path, target: DirectoryTree) -> None:
    broken_off(tmp_path, target)
    source, other = Flaky(tmp_path), CONTENT[::-1]
    source.content = other
    assert fetched(source, target, file(content=other)) == []
    assert source.asked == [(0, None)]


@pytest.mark.parametrize("spoil", [lambda left: left.write_bytes(b"x" * 2000), lambda left: left.write_bytes(CONTENT)])
def test_what_an_earlier_run_has_and_is_spoiled_or_has_no_end_costs_only_itself(
    tmp_path: Path, target: DirectoryTree, spoil: Callable[[Path], object]
) -> None:
    broken_off(tmp_path, target)
    [left] = target.root.glob("images/.headwater-*")
    spoil(left)
    assert fetched(Flaky(tmp_path), target, file()) == []
    assert (target.read("images/a").body, left_in(target)) == (CONTENT, [])


def test_of_what_turned_out_to_be_wrong_nothing_is_kept(tmp_path: Path, target: DirectoryTree) -> None:
    source = Flaky(tmp_path)
    source.content = CONTENT[::-1]
    assert fetched(source, target, file()) != []
    assert left_in(target) == []


def test_a_file_that_changes_while_it_is_fetched_is_fetched_from_its_beginning(
    tmp_path: Path, target: DirectoryTree
) -> None:
    source = Flaky(tmp_path, cut=4500, times=1)
    old, source.content = source.content, b"x" * len(CONTENT)

    def replaced() -> None:
        if source.asked:
            source.content, source.tag = old, "two"

    source.before = replaced
    assert fetched(source, target, file()) == []
    assert [start for start, _ in source.asked] == [0, 4500, 0]


def test_two_halves_of_two_files_are_not_taken_for_one(tmp_path: Path, target: DirectoryTree) -> None:
    """The server tells no tag, so nobody can know before the end."""
    source = Flaky(tmp_path, cut=4500, times=1)
    old, source.content = source.content, b"x" * len(CONTENT)

    def replaced() -> None:
        if source.asked:
            source.content = old

    source.before = replaced
    assert fetched(source, target, file()) == []
    assert target.read("images/a").body == CONTENT


@pytest.mark.parametrize("tells_size", [True, False])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (CONTENT[:-1], "bytes, and the feed says 10240"),
        (CONTENT + b"!", "the feed says"),
        (b"", "has 0 bytes"),
        (CONTENT[:-1] + b"?", "another SHA256"),
    ],
)
def test_what_is_not_what_the_feed_says_is_never_visible(
    tmp_path: Path, target: DirectoryTree, content: bytes, problem: str, *, tells_size: bool
) -> None:
    source = Flaky(tmp_path, tells_size=tells_size)
    source.content = content
    (found,) = fetched(source, target, file())
    assert problem in found
    assert "images/a" in found
    assert list(target.list()) == []


def test_a_page_to_log_in_is_told_from_a_file(tmp_path: Path, target: DirectoryTree) -> None:
    source = Flaky(tmp_path, tells_size=False)
    source.content = b"<!DOCTYPE html><title>Log in</title>"
    assert "web page" in fetched(source, target, file())[0]


def test_what_is_there_stays_when_its_successor_is_wrong(tmp_path: Path, target: DirectoryTree) -> None:
    target.write("images/a", b"as it was")
    source = Flaky(tmp_path)
    source.content = CONTENT[:-1] + b"?"
    fetched(source, target, file())
    assert target.read("images/a").body == b"as it was"


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", "md5"])
def test_the_strongest_hash_counts(algorithm: str) -> None:
    weaker = {"md5": "0" * 32, "sha256": "0" * 64, "sha512": "0" * 128}
    names = list(weaker)
    row = {name: weaker[name] for name in names[: names.index(algorithm)]}
    row |= {"path": "a", "size": "10240", algorithm: hashlib.new(algorithm, CONTENT).hexdigest().upper()}
    assert File.of_row(row, "item") == file("a", algorithm=algorithm)


def test_an_empty_file_and_one_of_unknown_size_are_fetched(tmp_path: Path, target: DirectoryTree) -> None:
    source = Flaky(tmp_path)
    source.content = b""
    assert fetched(source, target, file(content=b"")) == []
    source.content = CONTENT
    assert fetched(source, target, file("images/b", size=None)) == []
    assert [each.size for each in target.list()] == [0, len(CONTENT)]


def test_the_last_piece_is_given_away_when_all_of_it_is_right(tmp_path: Path) -> None:
    """Some trees read no further than the size that they are told."""
    source = Flaky(tmp_path)
    source.content = CONTENT[:-1] + b"?"
    with Download(source, file(), Pace(None)) as download:
        read = 0
        with pytest.raises(Exception, match="another SHA256"):
            while piece := download.read(100):
                read += len(piece)
    assert read < len(CONTENT)


def test_a_target_that_takes_nothing_ends_the_run(tmp_path: Path, target: DirectoryTree) -> None:
    class Full(DirectoryTree):
        writes = 0

        def write(self, path: str, *args: Any, **more: Any) -> str:
            Full.writes += 1
            raise TreeRefused(self.place, f"{path}: this user may not")

    with pytest.raises(TreeRefused, match="this user may not"):
        fetched(Flaky(tmp_path), Full(target.root), *(file(f"images/{n}") for n in range(500)))
    assert Full.writes < 500


def test_a_source_that_does_not_answer_any_more_is_not_asked_for_everything(
    tmp_path: Path, target: DirectoryTree
) -> None:
    source = Flaky(tmp_path)

    def silent() -> None:
        source.asked.append((-1, None))
        raise TreeUnavailable(source.place, "the server cannot be reached")

    source.before = silent
    problems = fetched(source, target, *(file(f"images/{n}") for n in range(300)))
    assert len(problems) == 300
    assert len(source.asked) < 100
    assert any("does not answer any more" in each for each in problems)


def test_many_files_come_at_once_and_one_bad_one_does_not_matter(tmp_path: Path, target: DirectoryTree) -> None:
    source = DirectoryTree(tmp_path / "source")
    files = []
    for number in range(100):
        content = f"content {number}".encode()
        source.write(f"images/{number}", content)
        files.append(file(f"images/{number}", content))
    source.delete("images/50")
    seen: set[int] = set()

    def told(_: int) -> None:
        seen.add(threading.get_ident())

    came, bad = Fetcher(source, target, parallel=4, told=told).fetch(files)
    assert (len(came), [each.file.path for each in bad]) == (99, ["images/50"])
    assert seen


def test_bytes_pass_as_fast_as_is_said_and_no_faster() -> None:
    time, slept = [0.0], [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time[0] += seconds

    pace = Pace(1000, clock=lambda: time[0], sleep=sleep)
    for _ in range(10):
        pace.spend(500)
    assert time[0] == pytest.approx(5)
    time[0] += 100
    pace.spend(1000)
    assert slept[-1] == pytest.approx(1), "what was not used is not saved up"
    Pace(None, clock=lambda: time[0], sleep=sleep).spend(1 << 40)
    assert time[0] == pytest.approx(106)


def test_files_that_are_there_are_held_against_what_is_said_of_them(target: DirectoryTree) -> None:
    for name, content in (("right", CONTENT), ("spoiled", CONTENT[:-1] + b"?"), ("short", b"short")):
        target.write(f"images/{name}", content)
    files = [file(f"images/{name}") for name in ("right", "spoiled", "short", "lost")]
    told: list[int] = []
    bad = wrong_files(target, files, 2, told.append)
    assert [each.file.path for each in bad] == ["images/spoiled", "images/short", "images/lost"]
    assert sum(told) == 4 * len(CONTENT)
