"""Durable work on every database."""

from __future__ import annotations

import threading

from headwater.database.engine import Database
from headwater.jobs import queue
from headwater.jobs.leases import writer_name
from headwater.jobs.queue import Job, Jobs

NOON = 1_700_000_000_000_000


def entered(database: Database, *run_at: int) -> list[str]:
    return [
        database.write(lambda c, at=at: queue.enter(c, "copy", {"at": at}, now=NOON, run_at=at))  # type: ignore[misc]  # binds this turn's time
        for at in run_at
    ]


def test_jobs_are_claimed_in_the_order_in_which_they_wait(database: Database) -> None:
    late, soon, never = entered(database, NOON + 2, NOON + 1, NOON + 100)
    jobs = Jobs(database)
    assert [job.id for job in jobs.claim(["copy"], "me", NOON + 50, limit=9)] == [soon, late]
    assert jobs.claim(["copy"], "me", NOON + 50, limit=9) == []
    assert [job.id for job in jobs.claim(["copy"], "me", NOON + 100, limit=9)] == [never]


def test_of_many_that_claim_at_once_each_job_goes_to_one(database: Database) -> None:
    ids = entered(database, *[NOON] * 40)
    claimed: list[Job] = []
    lock = threading.Lock()

    def claim(name: str) -> None:
        jobs = Jobs(database)
        for _ in range(30):
            found = jobs.claim(["copy"], name, NOON, limit=3)
            with lock:
                claimed.extend(found)

    threads = [threading.Thread(target=claim, args=(f"runner-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(job.id for job in claimed) == sorted(ids)


def test_what_a_dead_process_claimed_is_free_at_once(database: Database) -> None:
    (job_id,) = entered(database, NOON)
    jobs = Jobs(database)
    place = writer_name().partition("/")[0]
    assert jobs.claim(["copy"], f"{place}/999999999/1", NOON, limit=1)
    assert jobs.claim(["copy"], "me", NOON, limit=1) == []
    jobs.release_dead(NOON)
    assert [(job.id, job.attempts) for job in jobs.claim(["copy"], "me", NOON, limit=1)] == [(job_id, 2)]


def test_what_a_process_that_lives_claimed_is_its_own_whatever_the_time_says(database: Database) -> None:
    """A clock that steps moves the end of every lease into the past."""
    held, free = entered(database, NOON, NOON + 1)
    jobs = Jobs(database)
    assert [job.id for job in jobs.claim(["copy"], writer_name(), NOON, limit=1)] == [held]
    later = NOON + 600_000_000
    assert [job.id for job in jobs.claim(["copy"], "me", later, limit=9)] == [free]
    assert jobs.claim(["copy"], writer_name(), later, limit=9, running=[held]) == []
    assert [job.id for job in jobs.claim(["copy"], writer_name(), later, limit=9)] == [held]  # left over


def test_a_job_that_waited_has_made_no_attempt(database: Database) -> None:
    entered(database, NOON)
    jobs = Jobs(database)
    for counts, attempts in ((False, 1), (True, 1), (True, 2), (False, 3), (True, 3)):
        (job,) = jobs.claim(["copy"], "me", NOON, limit=1)
        assert job.attempts == attempts
        jobs.again(job, "me", NOON, counts=counts)


def test_of_processes_that_enter_the_job_that_is_never_done_one_does(database: Database) -> None:
    threads = [threading.Thread(target=Jobs(database).ensure, args=(["sweep"], NOON)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    jobs = Jobs(database)
    assert jobs.count("sweep") == 1
    (job,) = jobs.claim(["sweep"], "me", NOON, limit=1)
    jobs.renew("me", [job.id], NOON + 10)
    jobs.again(job, "me", NOON + 500, counts=False)
    assert jobs.claim(["sweep"], "me", NOON + 1, limit=1) == []
    jobs.hasten(["sweep"], NOON + 1)
    assert len(jobs.claim(["sweep"], "me", NOON + 1, limit=1)) == 1
