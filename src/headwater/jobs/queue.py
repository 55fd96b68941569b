"""Work that is kept in the catalogue until it is done.

A job is entered in the transaction that makes it necessary, so neither is there without the other. Whoever
claims it moves the time at which anybody may run it into the future and renews that while it works: a job
whose process is gone comes back by itself. It may therefore run more than once, and what runs it must not mind.
A process that is seen to live keeps its jobs whatever the time says (see ``leases.py``).

A job that was given up is never due; it is kept for a while, to be seen and to be run again. To cancel a job is to note
who wants it: whoever runs it looks there (``Job.require_wanted``) and ends it as one that failed. Nobody else does, so
nothing has to be taken from somebody who works on it.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, case, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import jobs
from headwater.errors import HeadwaterError
from headwater.jobs import leases

_NEVER = 1 << 62  # a time at which no job is due, also for a release that does not know why
_MOST_OF_AN_ERROR = 1000  # characters


class Cancelled(HeadwaterError):
    """Somebody wants the job to end. Raised in what runs it, which leaves all as after any other failure."""

    def __init__(self, by: str) -> None:
        super().__init__(f"cancelled by {by}")
        self.by = by


@dataclass(slots=True)
class Wish:
    """What others want of a job while it runs; written by its runner, read by what runs it."""

    cancelled_by: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work, claimed by one process."""

    id: str
    kind: str
    document: Mapping[str, Any] = field(repr=False)  # what the work needs to know
    attempts: int  # how often it was begun, this time included
    created_at: int  # microseconds since 1970
    wish: Wish = field(default_factory=Wish, repr=False, compare=False)

    def require_wanted(self) -> None:
        """Return when the job may go on; raise ``Cancelled`` when somebody wants it to end."""
        if self.wish.cancelled_by is not None:
            raise Cancelled(self.wish.cancelled_by)


def enter(
    connection: Connection,
    kind: str,
    document: Mapping[str, Any],
    *,
    now: int,
    run_at: int | None = None,
    row_id: str | None = None,
) -> str:
    """Enter work, inside the transaction that makes it necessary, and return its id.

    Args:
        document: What the work needs to know; anything that JSON holds.
        run_at: Not before this time, in microseconds since 1970; ``None``: at once.
        row_id: A UUID; ``None``: a new one.
    """
    row = {
        "id": row_id or str(uuid.uuid4()),
        "kind": kind,
        "document": msgspec.json.encode(document).decode(),
        "created_at": now,
        "run_at": now if run_at is None else run_at,
        "attempts": 0,
        "runner": None,
    }
    connection.execute(insert(jobs), row)
    return str(row["id"])


def require_wanted(connection: Connection, job_id: str) -> None:
    """Let nobody cancel a job before this transaction ends; raise ``Cancelled`` when somebody has."""
    query = select(jobs.c.cancelled_by).where(jobs.c.id == job_id).with_for_update()
    by = connection.scalars(query).first()
    if by is not None:
        raise Cancelled(by)


def cancel(connection: Connection, job_id: str, by: str, now: int) -> None:
    """Let a job end as soon as whoever runs it looks; one that waits or was given up is run for that, at once."""
    this = jobs.c.id == job_id
    connection.execute(update(jobs).where(this, jobs.c.cancelled_by.is_(None)).values(cancelled_by=by))
    connection.execute(update(jobs).where(this, jobs.c.runner.is_(None)).values(run_at=soon(now), failed_at=None))


def soon(now: int) -> ColumnElement[int]:
    """Return when a job is due that is to be run at once: one that is due already does not lose its turn."""
    return case((jobs.c.run_at > now, now), else_=jobs.c.run_at)


def job_of_task(connection: Connection, task_id: str) -> str | None:
    """Return the id of the job whose document names this task."""
    query = select(jobs.c.id, jobs.c.document).where(jobs.c.document.contains(task_id, autoescape=True))
    for row in connection.execute(query):
        if msgspec.json.decode(row.document).get("task_id") == task_id:
            return str(row.id)
    return None


def standing_id(kind: str) -> str:
    """Return the id of the one job of a kind that is never done."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"headwater job {kind}"))


class Jobs:
    """All jobs of one database; safe to use from several threads."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        """Work on ``database``.

        Args:
            clock: In seconds, of any beginning, which never steps.
        """
        self._database = database
        self._still: leases.StandingStill[tuple[str, str]] = leases.StandingStill(clock)

    def ensure(self, kinds: Collection[str], now: int) -> None:
        """Enter the one job of each kind, which is never done, unless it is there."""
        ids = {standing_id(kind): kind for kind in kinds}
        are_there = select(jobs.c.id).where(jobs.c.id.in_(ids))
        there = self._database.read(lambda connection: set(connection.scalars(are_there)))
        for row_id, kind in ids.items():
            if row_id not in there:
                with contextlib.suppress(IntegrityError):  # another process was faster
                    self._database.write(partial(enter, kind=kind, document={}, now=now, row_id=row_id))

    def claim(
        self, kinds: Collection[str], runner: str, now: int, *, limit: int, running: Collection[str] = ()
    ) -> list[Job]:
        """Return jobs that wait, those first that waited longest, and keep others from running them.

        Args:
            kinds: Those that the caller can run.
            runner: The caller, as ``leases.writer_name`` names it.
            running: The ids of what the caller runs already. What it claimed else is left over: its end could
                not be noted.
        """
        due = (jobs.c.kind.in_(sorted(kinds)), jobs.c.run_at <= now, jobs.c.failed_at.is_(None))
        claimers = select(jobs.c.runner).where(*due).distinct()
        found = self._database.read(lambda connection: connection.scalars(claimers).all())
        if not found:
            return []  # the usual answer, and it takes no lock
        alive = [each for each in found if each not in (None, runner) and leases.life_of(each) is leases.Life.ALIVE]
        waiting = (
            select(jobs)
            .where(*due, or_(jobs.c.runner.is_(None), jobs.c.runner.not_in(alive)), jobs.c.id.not_in(running))
            .order_by(jobs.c.run_at, jobs.c.created_at)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Job]:
            rows = connection.execute(waiting.with_for_update(skip_locked=True)).all()
            if rows:
                claimed = update(jobs).where(jobs.c.id.in_([row.id for row in rows]))
                connection.execute(
                    claimed.values(runner=runner, run_at=_lease(now), began_at=now, attempts=jobs.c.attempts + 1),
                )
            return [_job(row) for row in rows]

        return self._database.write(work)

    def renew(self, runner: str, running: Collection[str], now: int) -> None:
        """Say that ``runner`` still works on these."""
        if running:
            ours = update(jobs).where(jobs.c.id.in_(running), jobs.c.runner == runner)
            self._database.write(lambda connection: connection.execute(ours.values(run_at=_lease(now))))

    def cancelled(self, runner: str) -> dict[str, str]:
        """Return who wants which of the runner's jobs to end, by their ids."""
        query = select(jobs.c.id, jobs.c.cancelled_by).where(jobs.c.runner == runner, jobs.c.cancelled_by.is_not(None))
        return self._database.read(lambda connection: {row.id: row.cancelled_by for row in connection.execute(query)})

    def done(self, job: Job, runner: str) -> None:
        """Forget a job, unless another process has claimed it meanwhile."""
        statement = delete(jobs).where(jobs.c.id == job.id, jobs.c.runner == runner)
        self._database.write(lambda connection: connection.execute(statement))

    def again(self, job: Job, runner: str, at: int, *, counts: bool = True, error: str | None = None) -> None:
        """Let a job be run again at a time, in microseconds since 1970, by anybody; at once, if it is to be cancelled.

        Args:
            counts: Whether this was an attempt, which failed; else it only waited.
            error: Why it failed, to be seen by operators; ``None`` leaves what is known of an attempt before.
        """
        ended = jobs.c.cancelled_by.is_not(None)
        values: dict[str, Any] = {"runner": None, "attempts": job.attempts if counts else job.attempts - 1}
        values["run_at"] = case((ended, min(at, job.created_at)), else_=at)
        if error is not None:
            values["error"] = _bounded(error)
        self._left(job, runner, values)

    def give_up(self, job: Job, runner: str, now: int, error: str) -> None:
        """Let a job not be run again unless somebody says so, and keep why it failed."""
        self._left(job, runner, {"runner": None, "run_at": _NEVER, "failed_at": now, "error": _bounded(error)})

    def _left(self, job: Job, runner: str, values: dict[str, Any]) -> None:
        statement = update(jobs).where(jobs.c.id == job.id, jobs.c.runner == runner).values(values)
        self._database.write(lambda connection: connection.execute(statement))

    def forget_failed(self, before: int) -> int:
        """Forget the jobs that were given up before a time, and return how many."""
        statement = delete(jobs).where(jobs.c.failed_at < before)
        return self._database.write(lambda connection: connection.execute(statement).rowcount)

    def hasten(self, kinds: Collection[str], now: int) -> None:
        """Let what waits of these kinds be run at once."""
        waits = (jobs.c.kind.in_(sorted(kinds)), jobs.c.runner.is_(None), jobs.c.run_at > now)
        self._database.write(lambda connection: connection.execute(update(jobs).where(*waits).values(run_at=now)))

    def release_dead(self, now: int) -> None:
        """Let jobs be run at once whose process is certainly gone, without waiting for its lease to end."""
        running = select(jobs.c.runner).where(jobs.c.runner.is_not(None)).distinct()
        dead = [
            runner
            for runner in self._database.read(lambda connection: connection.scalars(running).all())
            if runner is not None and leases.is_dead(runner)
        ]
        if dead:
            statement = update(jobs).where(jobs.c.runner.in_(dead)).values(runner=None, run_at=now)
            self._database.write(lambda connection: connection.execute(statement))

    def recall_from_the_future(self, now: int) -> None:
        """Let jobs be run at once that wait for a time that a clock told which was ahead.

        What was entered or begun ``leases.ASTRAY_S`` after now was so before a clock went back, and would wait until
        the time that it told comes again: for days, where a machine starts with a wrong date. A process whose clock is
        that far behind those of others hastens what they put off, and nothing worse. What somebody runs is recalled
        when its lease lies too far ahead and has stood still (``leases.StandingStill``): its process is gone, on a
        machine that is not this one.
        """
        ahead = now + leases.ASTRAY_S * 1_000_000
        waits = (jobs.c.runner.is_(None), jobs.c.failed_at.is_(None), jobs.c.run_at > ahead)
        astray = (*waits, or_(jobs.c.created_at > ahead, jobs.c.began_at > ahead))
        if self._database.read(lambda connection: connection.scalars(select(jobs.c.id).where(*astray)).first()):
            self._recall(astray, now)  # not as nearly always, when nobody waits for a write
        held = select(jobs.c.id, jobs.c.runner, jobs.c.run_at).where(
            jobs.c.runner.is_not(None), jobs.c.run_at > leases.latest(now)
        )
        ends = {
            (row.id, row.runner): row.run_at
            for row in self._database.read(lambda connection: connection.execute(held).all())
            if leases.life_of(row.runner) is leases.Life.UNKNOWN
        }
        for job_id, runner in self._still.over(ends, now):
            as_it_stood = (jobs.c.id == job_id, jobs.c.runner == runner, jobs.c.run_at == ends[job_id, runner])
            self._recall(as_it_stood, now)

    def _recall(self, those: Collection[ColumnElement[bool]], now: int) -> None:
        recalled = update(jobs).where(*those)
        self._database.write(
            lambda connection: connection.execute(
                recalled.values(
                    runner=None,
                    run_at=now,
                    created_at=case((jobs.c.created_at > now, now), else_=jobs.c.created_at),
                    began_at=case((jobs.c.began_at > now, now), else_=jobs.c.began_at),
                )
            )
        )

    def count(self, kind: str) -> int:
        """Return how many jobs of a kind are neither done nor given up."""
        statement = select(jobs.c.id).where(jobs.c.kind == kind, jobs.c.failed_at.is_(None))
        return len(self._database.read(lambda connection: connection.execute(statement).all()))


def _lease(now: int) -> int:
    return now + leases.LEASE_S * 1_000_000


def _job(row: Any) -> Job:
    document = msgspec.json.decode(row.document)
    return Job(row.id, row.kind, document, row.attempts + 1, row.created_at, Wish(row.cancelled_by))


def _bounded(error: str) -> str:
    return error.replace("\0", "")[:_MOST_OF_AN_ERROR]
