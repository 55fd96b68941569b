"""Work that is never done: it comes back when it is due, whatever happened."""

from __future__ import annotations

import pytest

from headwater.jobs.queue import Job
from headwater.jobs.runner import Later
from headwater.jobs.standing import standing

JOB = Job("id", "forget", {}, 1, 0)


def test_work_that_is_done_waits_until_it_is_due_again() -> None:
    done: list[int] = []
    with pytest.raises(Later) as later:
        standing(lambda: done.append(1), 60)(JOB)
    assert (done, later.value.after_s) == ([1], 60)


def test_work_that_fails_stays_and_is_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Libraries that configure logging switch off every logger that is there.
    monkeypatch.setattr("headwater.jobs.standing._log.disabled", False)

    def fail() -> None:
        raise ValueError("the table is locked")

    with pytest.raises(Later) as later:
        standing(fail, 60)(JOB)
    (record,) = caplog.records
    assert later.value.after_s == 60
    assert (record.getMessage(), vars(record)["kind"], vars(record)["error"]) == (
        "house-keeping failed",
        "forget",
        "the table is locked",
    )


def test_work_may_say_itself_when_it_is_due() -> None:
    def make_way() -> None:
        raise Later(0, "this process stops")

    with pytest.raises(Later) as later:
        standing(make_way, 60)(JOB)
    assert later.value.after_s == 0
