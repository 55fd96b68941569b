"""The job of a location import: what counts as an attempt, and how long its task is shown."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest

from contracts.image_catalogue import NOON
from headwater.database.engine import Database
from headwater.fetching.fetcher import RemoteFailed
from headwater.images.catalogue.tasks import Tasks
from headwater.images.settings import ImagesSettings
from headwater.images.task import TaskStatus
from headwater.jobs.queue import Job, Jobs
from headwater.jobs.runner import Later, TryAgain
from unit.images.locations.test_rules import OWNER, URL, Parts

HOUR = 3600 * 1_000_000


@pytest.fixture
def parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = Parts(database, ImagesSettings(task_time_to_live_h=1, http_retries=2))
    monkeypatch.setattr(made.fetcher, "open", lambda _url: nullcontext([b"01234", b"56789"]))
    return made


def begun(parts: Parts) -> tuple[str, Job]:
    """Ask for an import; return its task's id and its job."""
    task = parts.imports.begin(OWNER, parts.image().id, {"url": URL, "validation_data": {}})
    (job,) = Jobs(parts.database).claim(["location_import"], "here", NOON, limit=9)
    return task.id, job


def test_a_task_that_is_over_is_shown_for_as_long_as_the_settings_say(parts: Parts) -> None:
    task_id, job = begun(parts)
    parts.imports.run(job)
    over = Tasks(parts.database).get(task_id)
    assert (over.status, over.expires_at) == (TaskStatus.SUCCESS, NOON + HOUR)


def test_a_task_that_failed_is_shown_for_as_long(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id, job = begun(parts)
    monkeypatch.setattr(parts.fetcher, "size", lambda _url: None)
    parts.imports.run(job)
    over = Tasks(parts.database).get(task_id)
    assert (over.status, over.expires_at) == (TaskStatus.FAILURE, NOON + HOUR)


def test_a_stop_is_no_attempt_and_a_server_that_fails_is_one(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id, job = begun(parts)
    monkeypatch.setattr(parts.imports, "_stopping", lambda: True)
    with pytest.raises(Later):
        parts.imports.run(job)

    def fails(_url: str) -> AbstractContextManager[list[bytes]]:
        raise RemoteFailed(URL, "the server answered 503", 503)

    monkeypatch.setattr(parts.fetcher, "open", fails)
    for attempt in (1, 2):
        with pytest.raises(TryAgain):
            parts.imports.run(replace(job, attempts=attempt))
    parts.imports.run(replace(job, attempts=3))
    over = Tasks(parts.database).get(task_id)
    assert (over.status, "503" in over.message) == (TaskStatus.SUCCESS, True)  # the image is active, without hashes
