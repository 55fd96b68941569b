"""Durable work on every database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from headwater.database.engine import Database
from headwater.jobs import leases, queue
from headwater.jobs import overview as overview_module
from headwater.jobs.leases import writer_name
from headwater.jobs.overview import JobNotFound, JobRuns, JobStands, Overview, State
from headwater.jobs.queue import Cancelled, Job, Jobs

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


@pytest.mark.parametrize("was", ["entered", "begun"])
def test_a_clock_that_goes_back_puts_no_job_off(database: Database, was: str) -> None:
    ahead = NOON + 5 * 86_400_000_000
    told = ahead if was == "entered" else NOON
    job_id = database.write(lambda connection: queue.enter(connection, "copy", {}, now=told))
    jobs = Jobs(database)
    if was == "begun":
        (job,) = jobs.claim(["copy"], "me", ahead, limit=1)
        jobs.again(job, "me", ahead + 60_000_000)
    assert jobs.claim(["copy"], "me", NOON, limit=1) == []
    jobs.recall_from_the_future(NOON)
    (job,) = jobs.claim(["copy"], "me", NOON, limit=1)
    assert (job.id, job.created_at) == (job_id, NOON)


def test_what_is_put_off_on_purpose_is_not_recalled(database: Database) -> None:
    """Nor what somebody runs, and what another replica entered whose clock is a little ahead."""
    entered(database, NOON + 60_000_000)
    jobs = Jobs(database)
    (later,) = jobs.claim(["copy"], "me", NOON + 60_000_000, limit=1)
    jobs.again(later, "me", NOON + 5 * 86_400_000_000)
    jobs.recall_from_the_future(NOON)
    assert jobs.claim(["copy"], "me", NOON + 60_000_000, limit=1) == []
    entered(database, NOON + 7200_000_000)
    (held,) = jobs.claim(["copy"], writer_name(), NOON + 7200_000_000, limit=1)
    jobs.recall_from_the_future(NOON)
    assert jobs.claim(["copy"], "me", NOON, limit=1, running=[held.id]) == []


AHEAD = NOON + 5 * 86_400_000_000
ELSEWHERE = "another-boot:1/7/1"


def held_ahead(database: Database, runner: str = ELSEWHERE) -> str:
    """Return the id of a job that is held under a lease of a clock that is five days ahead."""
    (job_id,) = entered(database, NOON)
    assert Jobs(database).claim(["copy"], runner, AHEAD, limit=1)
    return job_id


def test_what_a_dead_process_elsewhere_holds_far_ahead_is_recalled_when_it_has_stood_still(database: Database) -> None:
    job_id = held_ahead(database)
    steady = [1000.0]
    jobs = Jobs(database, clock=lambda: steady[0])
    for seconds, recalled in ((0, False), (60, False), (61, True)):
        steady[0] = 1000 + seconds
        jobs.recall_from_the_future(NOON + seconds * 1_000_000)
        claimed = jobs.claim(["copy"], "me", NOON + seconds * 1_000_000, limit=1)
        assert [(job.id, job.attempts) for job in claimed] == ([(job_id, 2)] if recalled else [])


def test_no_job_is_taken_from_who_renews_whatever_its_clock_says(database: Database) -> None:
    job_id = held_ahead(database)
    steady = [1000.0]
    jobs = Jobs(database, clock=lambda: steady[0])
    for seconds in range(0, 600, 45):
        steady[0] = 1000 + seconds
        Jobs(database).renew(ELSEWHERE, [job_id], AHEAD + seconds * 1_000_000)
        jobs.recall_from_the_future(NOON + seconds * 1_000_000)
        assert jobs.claim(["copy"], "me", NOON + seconds * 1_000_000, limit=1) == []


def test_no_job_is_taken_from_who_renews_just_before_it_would_be(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = held_ahead(database)
    steady = [1000.0]
    jobs = Jobs(database, clock=lambda: steady[0])
    jobs.recall_from_the_future(NOON)
    steady[0] += 61
    write = database.write

    def renewed_first(work: Callable[[Connection], Any]) -> Any:
        monkeypatch.setattr(database, "write", write)
        Jobs(database).renew(ELSEWHERE, [job_id], AHEAD + 61_000_000)
        return write(work)

    monkeypatch.setattr(database, "write", renewed_first)
    jobs.recall_from_the_future(NOON + 61_000_000)
    assert database.write is not renewed_first  # somebody wrote
    assert jobs.claim(["copy"], "me", NOON + 61_000_000, limit=1) == []


def test_no_job_is_taken_from_who_is_seen_to_live_or_ends_its_lease_in_time(database: Database) -> None:
    held_ahead(database, writer_name())
    entered(database, NOON)
    steady = [1000.0]
    jobs = Jobs(database, clock=lambda: steady[0])
    assert Jobs(database).claim(["copy"], ELSEWHERE, NOON + leases.ASTRAY_S * 1_000_000, limit=1)
    for seconds in (0, 100):
        steady[0] = 1000 + seconds
        jobs.recall_from_the_future(NOON)
        assert jobs.claim(["copy"], "me", NOON, limit=9) == []


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


def test_what_was_given_up_is_seen_and_runs_again_when_somebody_says_so(database: Database) -> None:
    (job_id,) = entered(database, NOON)
    jobs, overview = Jobs(database), Overview(database)
    (job,) = jobs.claim(["copy"], "me", NOON + 1, limit=1)
    jobs.again(job, "me", NOON + 2, error="the server\0 is away")
    assert overview.get(job_id).error == "the server is away"
    (job,) = jobs.claim(["copy"], "me", NOON + 2, limit=1)
    jobs.give_up(job, "me", NOON + 3, "x" * 5000)
    assert jobs.claim(["copy"], "me", NOON + 10**15, limit=9) == []
    seen = overview.get(job_id)
    assert (seen.state, seen.attempts, seen.failed_at, seen.error) == (State.FAILED, 2, NOON + 3, "x" * 1000)
    assert (seen.run_at, seen.runner, seen.began_at) == (None, None, NOON + 2)
    assert overview.retry(job_id, NOON + 4).state is State.FAILED
    (job,) = jobs.claim(["copy"], "me", NOON + 4, limit=1)
    assert job.attempts == 1
    with pytest.raises(JobRuns):
        overview.retry(job_id, NOON + 5)
    jobs.give_up(job, "me", NOON + 6, "again")
    assert jobs.forget_failed(NOON + 6) == 0
    assert jobs.forget_failed(NOON + 7) == 1
    for work in (overview.get, lambda gone: overview.retry(gone, NOON), lambda gone: overview.cancel(gone, "x", NOON)):
        with pytest.raises(JobNotFound):
            work(job_id)


def test_a_job_that_is_to_end_is_due_and_says_who_wants_it(database: Database) -> None:
    later, failed, due = entered(database, NOON + 10**12, NOON, NOON + 1)
    jobs, overview = Jobs(database), Overview(database)
    (job,) = jobs.claim(["copy"], "me", NOON, limit=1)
    jobs.give_up(job, "me", NOON, "it does not work")
    for job_id in (later, failed, due):
        overview.cancel(job_id, "ann", NOON + 2)
        overview.cancel(job_id, "bob", NOON + 3)  # too late to be the one who did it
    claimed = jobs.claim(["copy"], "me", NOON + 3, limit=9)
    assert claimed[0].id == due  # it does not lose its turn
    assert {job.id for job in claimed} == {later, failed, due}
    for job in claimed:
        with pytest.raises(Cancelled, match="cancelled by ann"):
            job.require_wanted()
        jobs.again(job, "me", NOON + 10**12)  # whatever keeps it from ending now
    assert len(jobs.claim(["copy"], "me", NOON + 4, limit=9)) == 3


def test_a_wish_comes_to_whoever_runs_the_job(database: Database) -> None:
    first, _second = entered(database, NOON, NOON)
    jobs = Jobs(database)
    assert len(jobs.claim(["copy"], "me", NOON, limit=2)) == 2
    assert jobs.cancelled("me") == {}
    Overview(database).cancel(first, "ann", NOON)
    assert jobs.cancelled("me") == {first: "ann"}
    assert jobs.cancelled("you") == {}
    with pytest.raises(Cancelled):
        database.write(lambda connection: queue.require_wanted(connection, first))


def test_house_keeping_is_not_cancelled(database: Database) -> None:
    Jobs(database).ensure(["sweep"], NOON)
    (job,) = Overview(database).jobs(kind="sweep")
    with pytest.raises(JobStands):
        Overview(database).cancel(job.id, "ann", NOON)


def test_jobs_are_listed_in_the_order_in_which_they_were_entered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview_module, "_AT_ONCE", 2)

    def enter(kind: str, image_id: str, at: int) -> str:
        document = {"image_id": image_id, "url": "http://good/i1"}
        return database.write(lambda c: queue.enter(c, kind, document, now=at))

    ids = [enter("copy" if number % 2 else "import", f"i{number % 3}", NOON + number // 2) for number in range(7)]
    overview = Overview(database)
    assert sorted(job.id for job in overview.jobs()) == sorted(ids)
    assert [job.created_at for job in overview.jobs()] == [NOON + number // 2 for number in range(7)]
    assert {job.id for job in overview.jobs(kind="copy")} == {ids[1], ids[3], ids[5]}
    assert {job.id for job in overview.jobs(image_id="i1")} == {ids[1], ids[4]}
    assert list(overview.jobs(image_id="%")) == []
    (job,) = Jobs(database).claim(["copy"], "me", NOON, limit=1)
    assert [each.id for each in overview.jobs(state=State.RUNNING)] == [job.id]
    assert len(list(overview.jobs(state=State.WAITING))) == 6
    assert list(overview.jobs(state=State.FAILED)) == []
    counted = overview.count(["copy", "import", "other"])
    assert {kind: (*count.by_state.values(), count.oldest_at) for kind, count in counted.items()} == {
        "copy": (2, 1, 0, NOON),
        "import": (4, 0, 0, NOON),
        "other": (0, 0, 0, None),
    }


def test_the_job_of_a_task_is_found(database: Database) -> None:
    entered(database, NOON)
    job_id = database.write(lambda c: queue.enter(c, "import", {"task_id": "t1"}, now=NOON))
    assert database.read(lambda c: queue.job_of_task(c, "t1")) == job_id
    assert database.read(lambda c: queue.job_of_task(c, "t")) is None
