from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from headwater.database.engine import Database
from headwater.database.tables import jobs as table
from headwater.errors import HeadwaterError
from headwater.jobs import leases, queue
from headwater.jobs.leases import LEASE_S
from headwater.jobs.overview import Overview, State
from headwater.jobs.queue import Cancelled, Job, Jobs
from headwater.jobs.runner import ATTEMPTS, Handler, Later, Runner, TryAgain
from headwater.threads import Pool
from unit.clock import Clock

NOON = 1_700_000_000_000_000
SECOND = 1_000_000


@pytest.fixture
def enter(database: Database, clock: Clock) -> Callable[[str], str]:
    return lambda kind: database.write(lambda c: queue.enter(c, kind, {"of": kind}, now=clock.now))


def ran(database: Database, clock: Clock, handler: Handler, *, times: int = 1) -> None:
    """Let a runner do what waits, and end."""
    for _ in range(times):
        runner = Runner(Jobs(database), {"copy": handler}, Pool("jobs", 2), clock=clock, name="here")
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


def test_a_job_that_was_given_up_is_kept_with_its_reason(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    """What was not raised on purpose may quote anything, a password too."""

    class ServerAway(HeadwaterError):
        pass

    cases = ((ServerAway("it is away"), "it is away"), (ValueError("secret"), "ValueError: the log has more"))
    for error, told in cases:
        job_id = enter("copy")

        def fail(_job: Job, error: Exception = error) -> None:
            raise error

        for _ in range(ATTEMPTS + 3):
            ran(database, clock, fail)
            clock.now += 3600 * SECOND
        seen = Overview(database).get(job_id)
        assert (seen.state, seen.attempts, seen.error) == (State.FAILED, ATTEMPTS, told)


def test_a_job_is_told_while_it_runs_that_somebody_wants_it_to_end(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    job_id = enter("copy")
    runs, told = threading.Event(), threading.Event()

    def work(job: Job) -> None:
        runs.set()
        while True:
            try:
                job.require_wanted()
            except Cancelled as cancelled:
                assert cancelled.by == "ann"
                told.set()
                raise
            time.sleep(0.01)

    runner = Runner(Jobs(database), {"copy": work}, Pool("jobs", 1), clock=clock, name="here")
    runner.look()
    assert runs.wait(20)
    Overview(database).cancel(job_id, "ann", clock.now)
    runner.look()  # it has no free thread
    assert told.wait(20)
    runner.close()
    assert list(Overview(database).jobs()) == []


def test_attempts_are_counted_with_how_they_ended(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    counted: list[tuple[str, str]] = []

    class Counting:
        def ran(self, kind: str, end: str, seconds: float) -> None:
            assert seconds >= 0
            counted.append((kind, end))

    errors = [None, Later(0, "it waits"), TryAgain(0, "it may work later"), ValueError(), Cancelled("ann")]

    def work(_job: Job) -> None:
        error = errors.pop(0)
        if error is not None:
            raise error

    enter("copy")
    enter("copy")
    for _ in range(5):
        runner = Runner(Jobs(database), {"copy": work}, Pool("jobs", 1), clock=clock, name="x", tally=Counting())
        runner.look()
        runner.close()
        clock.now += 3600 * SECOND
    assert counted == [("copy", end) for end in ("done", "waits", "again", "again", "cancelled")]


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


def test_to_wait_is_no_attempt(database: Database, clock: Clock, enter: Callable[[str], str]) -> None:
    """A process that stops for a rolling restart lets the job wait for the next one."""
    attempts: list[int] = []

    def wait(job: Job) -> None:
        attempts.append(job.attempts)
        raise Later(0, "this process stops")

    enter("copy")
    ran(database, clock, wait, times=2 * ATTEMPTS)
    assert attempts == [1] * (2 * ATTEMPTS)


def test_a_failure_that_wants_a_pause_is_an_attempt(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    seen: list[tuple[int, int]] = []

    def fail(job: Job) -> None:
        seen.append((job.attempts, clock.now))
        raise TryAgain(10, "the server answers 503")

    enter("copy")
    for _ in range(12):
        ran(database, clock, fail)
        clock.now += SECOND
    assert seen == [(1, NOON), (2, NOON + 10 * SECOND)]


def test_a_clock_that_steps_takes_no_job_from_a_neighbour_that_lives(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    seen: list[Job] = []
    enter("copy")
    assert Jobs(database).claim(["copy"], leases.writer_name(), clock.now, limit=1)
    clock.now += 600 * SECOND
    ran(database, clock, seen.append)
    assert seen == []


def test_a_clock_that_steps_starts_nothing_twice_here(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    go_on, began = threading.Event(), threading.Semaphore(0)
    running: list[str] = []

    def stand(job: Job) -> None:
        running.append(job.id)
        began.release()
        assert go_on.wait(20)

    enter("copy")
    runner = Runner(Jobs(database), {"copy": stand}, Pool("jobs", 2), clock=clock, name="here")
    runner.look()
    assert began.acquire(timeout=20)
    clock.now += 600 * SECOND
    runner.look()
    go_on.set()
    runner.close()
    assert len(running) == 1


def test_a_job_whose_end_could_not_be_noted_runs_again_in_the_process_that_lives_on(
    database: Database, clock: Clock, enter: Callable[[str], str]
) -> None:
    seen: list[Job] = []

    class Forgetful(Jobs):
        def done(self, job: Job, runner: str) -> None:
            if len(seen) == 1:
                raise ConnectionError("the catalogue is away")
            super().done(job, runner)

    enter("copy")
    jobs = Forgetful(database)
    runner = Runner(jobs, {"copy": seen.append}, Pool("jobs", 1), clock=clock, name="here")
    for _ in range(3):
        runner.look()
        deadline = time.monotonic() + 20
        while runner._runs() and time.monotonic() < deadline:
            time.sleep(0.001)
        clock.now += (LEASE_S - 10) * SECOND
        runner.renew()
    runner.close()
    assert [job.attempts for job in seen] == [1, 2]
    assert jobs.count("copy") == 0


def test_a_job_that_is_never_done_is_there_once(database: Database, clock: Clock) -> None:
    jobs = Jobs(database)
    for _ in range(3):
        jobs.ensure(["sweep"], clock.now)
    assert jobs.count("sweep") == 1
    (job,) = jobs.claim(["sweep"], "here", clock.now, limit=9)
    jobs.again(job, "here", clock.now + 15 * SECOND, counts=False)
    assert jobs.claim(["sweep"], "here", clock.now, limit=9) == []
    jobs.hasten(["sweep"], clock.now)
    assert len(jobs.claim(["sweep"], "here", clock.now, limit=9)) == 1
    jobs.hasten(["sweep"], clock.now)  # what runs is left alone
    with database.engine.connect() as connection:
        assert connection.execute(table.select()).one().runner == "here"


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
    runner = Runner(Jobs(database), {"copy": stand}, Pool("jobs", 2), clock=clock, name="here")
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
    claimed = jobs.claim(["copy"], "there", clock.now, limit=1)
    assert len(claimed) == 1
    ran(database, clock, seen.append)
    clock.now += (LEASE_S - 1) * SECOND
    jobs.renew("there", [job.id for job in claimed], clock.now)
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
