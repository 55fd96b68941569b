"""The short form of ``make test-faults``: some of its kills, on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.upgrades import prepared, tables, tries, upgraded
from torture.rounds import require_nothing_lost


@pytest.mark.slow
def test_nothing_answered_is_lost_when_the_service_is_killed_under_load(sqlite_url: str, tmp_path: Path) -> None:
    require_nothing_lost(sqlite_url, tmp_path, rounds=1, fewest_answers=10)


def test_an_upgrade_that_is_killed_early_and_late_is_completed_by_the_next(sqlite_url: str) -> None:
    undisturbed = upgraded(sqlite_url, "0003")
    with_tables = prepared(sqlite_url, "0003")
    with tries() as upgrade_to_a_kill:
        for at in (2, 20, 50):
            assert upgrade_to_a_kill(sqlite_url, at) == "killed"
            assert tables(sqlite_url) == with_tables
        assert upgrade_to_a_kill(sqlite_url, 10_000) == "done"
    assert upgraded(sqlite_url, "0003", prepare=False) == undisturbed
