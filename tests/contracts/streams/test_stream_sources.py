"""Sources of images in the catalogue, on each kind of database."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from sqlalchemy import update

from headwater.database.engine import Database
from headwater.database.tables import stream_sources
from headwater.jobs.overview import Overview
from headwater.jobs.queue import Jobs
from headwater.streams.syncing.sources.rows import KIND, SourceRows
from headwater.streams.syncing.sources.source import Outcome, Source, SourceExists, SourceNotFound, SourceSettings

NOW = 1_780_000_000_000_000
SECOND = 1_000_000


class Latest(random.Random):
    """Chance at its worst."""

    def random(self) -> float:
        return 1.0


@pytest.fixture
def rows(database: Database) -> SourceRows:
    return SourceRows(database, Latest())


def settings(name: str = "one", **more: Any) -> SourceSettings:
    return SourceSettings.of(
        {"name": name, "url": "https://feeds.example/", "interval_s": 3600, "jitter_s": 60, **more}
    )


def jobs(database: Database) -> list[str]:
    return [each.document["source_id"] for each in Overview(database).jobs(kind=KIND)]


def end(database: Database, rows: SourceRows, name: str) -> None:
    """Do what runs the job of a source: note its end, and that of the job."""
    source = rows.get(name)
    rows.ended(source.id, Outcome.DONE, NOW, error=None, report={"counts": {"same": 1}})
    queue = Jobs(database)
    for job in queue.claim([KIND], "here/1/1", NOW + 10**12, limit=10):
        queue.done(job, "here/1/1")


def test_what_is_entered_is_there_until_it_is_removed(rows: SourceRows) -> None:
    added = rows.add(settings(), "p", NOW)
    assert rows.get("one") == added == rows.of_id(added.id)
    assert rows.all() == [added]
    assert (added.project_id, added.next_run_at, added.outcome) == ("p", NOW, None)
    with pytest.raises(SourceExists):
        rows.add(settings(), "q", NOW)
    rows.remove("one", "me", NOW)
    assert rows.all() == []
    for gone in (rows.get, lambda name: rows.remove(name, "me", NOW), lambda name: rows.run(name, NOW)):
        with pytest.raises(SourceNotFound):
            gone("one")


def test_names_are_told_apart_by_case(rows: SourceRows) -> None:
    rows.add(settings("one"), None, NOW)
    rows.add(settings("One"), None, NOW)
    assert {each.name for each in rows.all()} == {"one", "One"}


def test_a_run_is_entered_when_it_is_due_and_the_next_one_after_interval_and_jitter(
    database: Database, rows: SourceRows
) -> None:
    source = rows.add(settings(), None, NOW)
    assert rows.enter_due(NOW - 1) == 0
    assert rows.enter_due(NOW) == 1
    assert jobs(database) == [source.id]
    entered = rows.get("one")
    assert entered.next_run_at == NOW + 3660 * SECOND
    assert entered.job_id is not None
    assert rows.enter_due(NOW) == 0


def test_a_clock_that_goes_back_puts_no_run_off(database: Database, rows: SourceRows) -> None:
    ahead = NOW + 5 * 86_400 * SECOND
    source = rows.add(settings(), None, ahead)
    assert rows.enter_due(NOW) == 1
    assert jobs(database) == [source.id]
    assert rows.get("one").next_run_at == NOW + 3660 * SECOND
    end(database, rows, "one")
    assert rows.enter_due(NOW) == 0  # though it was created later than now


def test_a_source_has_one_run_at_a_time(database: Database, rows: SourceRows) -> None:
    rows.add(settings(), None, NOW)
    rows.enter_due(NOW)
    assert rows.enter_due(NOW + 4000 * SECOND) == 0
    rows.run("one", NOW)
    assert len(jobs(database)) == 1
    end(database, rows, "one")
    assert rows.enter_due(NOW + 9000 * SECOND) == 1
    assert len(jobs(database)) == 1


def test_a_run_is_entered_on_request_before_the_job_of_the_last_one_is_forgotten(
    database: Database, rows: SourceRows
) -> None:
    first = rows.run(rows.add(settings(enabled=False), None, NOW).name, NOW)
    rows.ended(first.id, Outcome.DONE, NOW, error=None, report=None)
    second = rows.run("one", NOW)
    assert second.job_id != first.job_id
    assert len(jobs(database)) == 2


def test_of_many_who_look_at_once_one_enters_a_run(database: Database, rows: SourceRows) -> None:
    for name in ("a", "b", "c"):
        rows.add(settings(name), None, NOW)
    entered: list[int] = []
    threads = [threading.Thread(target=lambda: entered.append(rows.enter_due(NOW))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(entered) == 3
    assert len(jobs(database)) == 3


def test_a_source_that_is_not_enabled_runs_on_request_only(database: Database, rows: SourceRows) -> None:
    source = rows.add(settings(enabled=False), None, NOW)
    assert source.next_run_at is None
    assert rows.enter_due(NOW) == 0
    assert rows.run("one", NOW).next_run_at is None
    assert len(jobs(database)) == 1


def test_what_changes_is_kept_and_the_next_run_follows_the_interval(rows: SourceRows) -> None:
    source = rows.add(settings(), None, NOW)
    rows.began(source.id, NOW)

    def change(patch: dict[str, Any]) -> Source:
        return rows.change("one", lambda before: before.merged(patch), NOW + SECOND)[1]

    assert change({"terms": {"keep": 3}}).next_run_at == NOW
    assert change({"interval_s": 7200}).next_run_at == NOW + 7260 * SECOND
    assert change({"enabled": False}).next_run_at is None
    assert rows.get("one").settings.terms.keep == 3
    rows.add(settings("two"), None, NOW)
    with pytest.raises(SourceExists, match="'two'"):
        change({"name": "two"})


def test_how_a_run_ended_is_kept(rows: SourceRows) -> None:
    source = rows.add(settings(), None, NOW)
    rows.began(source.id, NOW)
    assert rows.get("one").outcome is Outcome.RUNNING
    rows.ended(source.id, Outcome.DONE, NOW + 1, error=None, report={"counts": {"created": 2}})
    done = rows.get("one")
    assert (done.outcome, done.succeeded_at, done.report) == (Outcome.DONE, NOW + 1, {"counts": {"created": 2}})
    rows.ended(source.id, Outcome.FAILED, NOW + 2, error="e" * 5000 + "\0", report=None)
    failed = rows.get("one")
    assert (failed.outcome, failed.succeeded_at, failed.report) == (Outcome.FAILED, NOW + 1, done.report)
    assert failed.error is not None
    assert len(failed.error) == 2000


def test_the_run_of_a_source_is_ended_with_it(database: Database, rows: SourceRows) -> None:
    rows.add(settings(), None, NOW)
    assert not rows.cancel("one", "me", NOW)
    rows.enter_due(NOW)
    assert rows.cancel("one", "me", NOW)
    rows.remove("one", "me", NOW)
    assert [each.cancelled_by for each in Overview(database).jobs(kind=KIND)] == ["me"]


def test_settings_of_a_later_release_are_read_as_far_as_they_are_known(database: Database, rows: SourceRows) -> None:
    rows.add(settings(), None, NOW)
    later = '{"name": "one", "url": "https://feeds.example/", "later": 1, "terms": {"keep": 3, "later": {}}}'
    database.write(lambda connection: connection.execute(update(stream_sources).values(document=later)))
    assert rows.get("one").settings.terms.keep == 3
    assert rows.enter_due(NOW) == 1
