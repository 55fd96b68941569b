"""A tree as it will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import pytest

from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.planned import PlannedTree
from headwater.streams.trees.tree import ABSENT, PathChanged, PathNotFound


class Noting(DirectoryTree):
    """A directory that notes what is written, in its order."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: list[str] = []

    def write(self, path: str, body: bytes | BinaryIO, **more: Any) -> str:
        self.written.append(path)
        return super().write(path, body, **more)


def test_what_is_planned_is_read_and_not_there_yet(tmp_path: Path) -> None:
    tree = DirectoryTree(tmp_path / "tree")
    tree.write("a", b"old")
    planned = PlannedTree(tree)
    planned.write("a", b"newer")
    planned.write("b", b"new")
    assert (planned.read("a").body, planned.stat("a").size, planned.read("b").body) == (b"newer", 5, b"new")
    assert tree.read("a").body == b"old"
    for path in ("b", "c"):
        with pytest.raises(PathNotFound):
            tree.read(path)
    with pytest.raises(PathNotFound):
        planned.read("c")
    planned.carry_out()
    assert (tree.read("a").body, tree.read("b").body) == (b"newer", b"new")


def test_indexes_are_written_after_what_they_name_and_signed_ones_last(tmp_path: Path) -> None:
    tree = Noting(tmp_path / "tree")
    planned = PlannedTree(tree)
    signed = ["streams/v1/index2.sjson", "streams/v1/index.sjson"]
    unsigned = ["streams/v1/index2.json", "streams/v1/index.json"]
    beside = ["streams/v1/index2.json.gpg", "streams/v1/index.json.gpg"]
    for path in (*reversed(signed), *reversed(beside), *reversed(unsigned), "b", "a"):
        planned.write(path, b"{}")
    planned.carry_out()
    assert tree.written == ["b", "a", *unsigned, *beside, *signed]


def test_what_somebody_else_wrote_meanwhile_ends_it_before_the_index(tmp_path: Path) -> None:
    tree = Noting(tmp_path / "tree")
    planned = PlannedTree(tree)
    planned.write("streams/v1/index.json", b"{}", expect=ABSENT)
    planned.write("a", b"mine", expect=ABSENT)
    tree.write("a", b"theirs")
    with pytest.raises(PathChanged):
        planned.carry_out()
    assert tree.written == ["a", "a"]
    assert tree.read("a").body == b"theirs"
