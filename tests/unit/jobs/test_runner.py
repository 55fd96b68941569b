from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headwater.database import schema
from headwater.database.engine import Database
from headwater.jobs import queue
from headwater.jobs.leases import LEASE_S
from headwater.jobs.queue import Job, Jobs
from headwater.jobs.runner import ATTEMPTS, Handler, Later, Runner

NOON = 1_700_000_000_000_000
SECOND = 1_000_000


class Clock:
    """Time that the test moves."""

    now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    schema.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def enter(database: Database, clock: Clock) -> Callable[[str], str]:
    return lambda kind: database.write(lambda c: queue.enter(c, kind, {"of": kind}, now=clock.now))


def ran(database: Database, clock: Clock, handler: Handler, *, times: int = 1) -> None:
    """Let a runner do what waits, and end."""
    for _ in range(times):
        runner = Runner(Jobs(database), {"copy": handler}, 2, clock=clock, name="here")
        runner.look()
        runner.close()


def test_a_job_runs_once_with_its_document(database: Database, clock: Clock, enter: Callable[[str], str]) -> None:
    seen: list[Job] = []
    job_id = enter("copy")
    ran(database, clock, seen.append, times=2)
    assert [(job.id, job.document, job.attempts) for job in seen] == [(job_id, {"of": "copy"}, 1)]
    assert Jobs(database).count("copy") == 0


def test_a_job_of_another_kind_is_left_to_who_knows_it(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    seen: list[Job] = []
    enter("other")
    ran(database, clock, seen.append)
    assert seen == []
    assert Jobs(database).count("other") == 1


def test_a_job_that_fails_runs_again_after_pauses_that_grow(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    attempts: list[int] = []

    def fail(job: Job) -> None:
        attempts.append(job.attempts)
        raise ValueError("it does not work")

    enter("copy")
    ran(database, clock, fail)
    clock.now += SECOND
    ran(database, clock, fail)
    assert attempts == [1]
    clock.now += SECOND
    ran(database, clock, fail)
    clock.now += 2 * SECOND
    ran(database, clock, fail)
    assert attempts == [1, 2]
    clock.now += 2 * SECOND
    ran(database, clock, fail)
    assert attempts == [1, 2, 3]


def test_a_job_that_never_works_is_given_up(database: Database, clock: Clock, enter: Callable[[str], str]) -> None:
    attempts: list[int] = []

    def fail(job: Job) -> None:
        attempts.append(job.attempts)
        raise ValueError("it does not work")

    enter("copy")
    for _ in range(ATTEMPTS + 3):
        ran(database, clock, fail)
        clock.now += 3600 * SECOND
    assert attempts == list(range(1, ATTEMPTS + 1))
    assert Jobs(database).count("copy") == 0


def test_a_job_that_wants_to_wait_waits(database: Database, clock: Clock, enter: Callable[[str], str]) -> None:
    times: list[int] = []

    def wait(_job: Job) -> None:
        times.append(clock.now)
        raise Later(10, "its receiver is away")

    enter("copy")
    for _ in range(12):
        ran(database, clock, wait)
        clock.now += SECOND
    assert times == [NOON, NOON + 10 * SECOND]


def test_no_more_jobs_run_at_once_than_there_are_threads(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    go_on = threading.Event()
    began = threading.Semaphore(0)
    running: list[str] = []

    def stand(job: Job) -> None:
        running.append(job.id)
        began.release()
        assert go_on.wait(20)

    for _ in range(5):
        enter("copy")
    runner = Runner(Jobs(database), {"copy": stand}, 2, clock=clock, name="here")
    runner.look()
    runner.look()
    assert began.acquire(timeout=20)
    assert began.acquire(timeout=20)
    assert len(running) == 2
    go_on.set()
    runner.close()
    assert Jobs(database).count("copy") == 3


def test_a_job_whose_process_is_silent_runs_elsewhere(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    seen: list[Job] = []
    enter("copy")
    jobs = Jobs(database)
    assert len(jobs.claim(["copy"], "there", clock.now, limit=1)) == 1
    ran(database, clock, seen.append)
    clock.now += (LEASE_S - 1) * SECOND
    jobs.renew("there", clock.now)
    clock.now += (LEASE_S - 1) * SECOND
    ran(database, clock, seen.append)
    assert seen == []
    clock.now += 2 * SECOND
    ran(database, clock, seen.append)
    assert [job.attempts for job in seen] == [2]


def test_a_process_that_was_only_slow_does_not_end_the_job_of_another(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    enter("copy")
    jobs = Jobs(database)
    (slow,) = jobs.claim(["copy"], "there", clock.now, limit=1)
    clock.now += (LEASE_S + 1) * SECOND
    (mine,) = jobs.claim(["copy"], "here", clock.now, limit=1)
    jobs.done(slow, "there")
    assert jobs.count("copy") == 1
    jobs.done(mine, "here")
    assert jobs.count("copy") == 0


def test_a_job_of_a_transaction_that_is_rolled_back_never_was(database: Database, clock: Clock) -> None:
    def work(connection: object) -> None:
        queue.enter(connection, "copy", {}, now=clock.now)  # type: ignore[arg-type]  # what write gives
        raise KeyError

    with pytest.raises(KeyError):
        database.write(work)
    assert Jobs(database).count("copy") == 0
