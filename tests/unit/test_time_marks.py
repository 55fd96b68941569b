"""Marks stay what they are: files that an older release marked are known by them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from headwater.stores.file.proof import proof_of
from headwater.time_marks import keeps_marks, mark_in, mark_of, set_now, with_mark

SECOND = 10**9


@pytest.mark.parametrize(("text", "marks", "mark"), [("k", 1, 805_849_100), ("9 k", 2, 777_329_400)])
def test_the_mark_of_a_text_does_not_change(text: str, marks: int, mark: int) -> None:
    assert mark_of(text, marks=marks) == mark


@pytest.mark.parametrize(("mark", "is_right"), [(777_329_400, True), (777_329_500, False), (777_329_600, None)])
def test_an_object_has_two_marks(tmp_path: Path, mark: int, is_right: bool | None) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"nine of k")
    with file.open("rb") as opened:
        set_now(opened.fileno(), mark)
    assert proof_of("k", file.stat()).is_right is is_right


def test_a_mark_leaves_the_second_and_is_never_in_a_time_to_come(tmp_path: Path) -> None:
    assert with_mark(12 * SECOND + 7, 300) == 12 * SECOND + 300
    file = tmp_path / "file"
    for mark in (100, SECOND - 100):
        with file.open("wb") as opened:
            set_now(opened.fileno(), mark)
        state = file.stat()
        assert mark_in(state) == mark
        assert state.st_mtime_ns <= time.time_ns()


def test_to_ask_whether_marks_are_kept_leaves_nothing(tmp_path: Path) -> None:
    assert keeps_marks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        keeps_marks(tmp_path / "absent")
