"""A directory that resumes: what was begun and left is taken up, and goes first when there is no room."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from headwater.caching.directory import Filling, KeptFiles

HASH = "ab" * 32


def a_name(number: int, size: int = 400) -> str:
    return f"file.sha256.{number:02d}{HASH[2:]}.{size}"


@pytest.fixture
def kept(tmp_path: Path) -> KeptFiles:
    return KeptFiles(tmp_path / "kept", 1000, setting="here", resumes=True)


def begun(kept: KeptFiles, name: str) -> Filling:
    found = kept.begin(name)
    assert isinstance(found, Filling)
    return found


def left(kept: KeptFiles, name: str, count: int) -> None:
    """Leave so many bytes, as a process does that is killed."""
    file = begun(kept, name).file
    os.write(file, bytes(count))
    os.close(file)


def test_what_was_left_is_taken_up_by_one_and_followed_by_others(kept: KeptFiles) -> None:
    left(kept, a_name(1), 100)
    first, second = begun(kept, a_name(1)), begun(kept, a_name(1))
    assert (first.is_ours, first.begun) == (True, 100)
    assert (second.is_ours, second.begun) == (False, 0)


def test_what_was_left_stays_when_others_look(kept: KeptFiles) -> None:
    left(kept, a_name(1), 100)
    kept.clean()
    kept.prune(lambda _: True)
    assert begun(kept, a_name(1)).begun == 100


def test_what_was_left_long_ago_goes(kept: KeptFiles) -> None:
    left(kept, a_name(1), 100)
    old = time.time() - 2 * 86400
    os.utime(kept.root / "filling" / a_name(1), (old, old))
    kept.clean()
    assert begun(kept, a_name(1)).begun == 0


def test_what_was_left_goes_before_what_is_whole(kept: KeptFiles) -> None:
    file = begun(kept, a_name(1)).file
    os.write(file, bytes(400))
    assert kept.keep(a_name(1), file)
    os.close(file)
    left(kept, a_name(2), 300)
    assert begun(kept, a_name(3, 600)).is_ours
    assert kept.find(a_name(1)) is not None
    assert not (kept.root / "filling" / a_name(2)).exists()


def test_what_is_taken_up_counts_once(kept: KeptFiles) -> None:
    left(kept, a_name(1, 1000), 999)
    assert begun(kept, a_name(1, 1000)).begun == 999


def test_a_directory_that_does_not_resume_begins_anew(tmp_path: Path) -> None:
    kept = KeptFiles(tmp_path / "kept", 1000, setting="here")
    left(kept, a_name(1), 100)
    assert begun(kept, a_name(1)).begun == 0
