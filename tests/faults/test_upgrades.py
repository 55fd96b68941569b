"""A catalogue that is killed on its way to a newer schema arrives there at the next start, with every row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from faults.upgrades import Try, prepared, tables, tries, upgraded


@pytest.fixture(scope="module")
def upgrade_to_a_kill() -> Iterator[Try]:
    """Try an upgrade that is killed at its statement of a number, and tell what came of it."""
    with tries() as one:
        yield one


@pytest.mark.parametrize("number", [None, "0003"])  # all there is to make; all rows that are moved
def test_an_upgrade_killed_at_any_statement_is_completed_by_the_next(
    database_url: str, upgrade_to_a_kill: Try, number: str | None
) -> None:
    undisturbed = upgraded(database_url, number)
    with_tables = prepared(database_url, number)
    for at in itertools.count(1):
        outcome = upgrade_to_a_kill(database_url, at)
        if outcome == "done":
            break
        assert outcome == "killed"
        if not database_url.startswith("mysql"):
            assert tables(database_url) == with_tables
    assert at > 5
    assert upgraded(database_url, number, prepare=False) == undisturbed
