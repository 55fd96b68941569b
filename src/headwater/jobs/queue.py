"""Work that is kept in the catalogue until it is done.

A job is entered in the transaction that makes it necessary, so neither is there without the other. Whoever
claims it moves the time at which anybody may run it into the future and renews that while it works: a job
whose process is gone comes back by itself. It may therefore run more than once, and what runs it must not mind.
A process that is seen to live keeps its jobs whatever the time says (see ``leases.py``).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import jobs
from headwater.jobs import leases


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work, claimed by one process."""

    id: str
    kind: str
    document: Mapping[str, Any] = field(repr=False)  # what the work needs to know
    attempts: int  # how often it was begun, this time included
    created_at: int  # microseconds since 1970


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


class Jobs:
    """All jobs of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, kinds: Collection[str], now: int) -> None:
        """Enter the one job of each kind, which is never done, unless it is there."""
        ids = {str(uuid.uuid5(uuid.NAMESPACE_OID, f"headwater job {kind}")): kind for kind in kinds}
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
        due = (jobs.c.kind.in_(sorted(kinds)), jobs.c.run_at <= now)
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
                    claimed.values(runner=runner, run_at=_lease(now), attempts=jobs.c.attempts + 1),
                )
            return [_job(row) for row in rows]

        return self._database.write(work)

    def renew(self, runner: str, running: Collection[str], now: int) -> None:
        """Say that ``runner`` still works on these."""
        if running:
            ours = update(jobs).where(jobs.c.id.in_(running), jobs.c.runner == runner)
            self._database.write(lambda connection: connection.execute(ours.values(run_at=_lease(now))))

    def done(self, job: Job, runner: str) -> None:
        """Forget a job, unless another process has claimed it meanwhile."""
        statement = delete(jobs).where(jobs.c.id == job.id, jobs.c.runner == runner)
        self._database.write(lambda connection: connection.execute(statement))

    def again(self, job: Job, runner: str, at: int, *, counts: bool = True) -> None:
        """Let a job be run again at a time, in microseconds since 1970, by anybody.

        Args:
            counts: Whether this was an attempt, which failed; else it only waited.
        """
        values = {"runner": None, "run_at": at, "attempts": job.attempts if counts else job.attempts - 1}
        statement = update(jobs).where(jobs.c.id == job.id, jobs.c.runner == runner).values(values)
        self._database.write(lambda connection: connection.execute(statement))

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

    def count(self, kind: str) -> int:
        """Return how many jobs of a kind are not done."""
        statement = select(jobs.c.id).where(jobs.c.kind == kind)
        return len(self._database.read(lambda connection: connection.execute(statement).all()))


def _lease(now: int) -> int:
    return now + leases.LEASE_S * 1_000_000


def _job(row: Any) -> Job:
    return Job(row.id, row.kind, msgspec.json.decode(row.document), row.attempts + 1, row.created_at)
