"""What operators see of jobs, and what they do about them: any process, no runner needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, case, func, or_, select, update

from headwater.database.engine import Database
from headwater.database.tables import jobs
from headwater.errors import Conflict, NotFound
from headwater.jobs import queue

_AT_ONCE = 500


class State(StrEnum):
    """Where a job is; one that is done is not kept."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"  # given up: it runs again when somebody says so


_IN = {
    State.WAITING: and_(jobs.c.runner.is_(None), jobs.c.failed_at.is_(None)),
    State.RUNNING: jobs.c.runner.is_not(None),
    State.FAILED: jobs.c.failed_at.is_not(None),
}


class JobNotFound(NotFound):
    """There is no such job: it may be done."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id[:80]!r}; one that is done is not kept")
        self.job_id = job_id


class JobRuns(Conflict):
    """A job that runs cannot be run again now."""

    def __init__(self, job_id: str, runner: str) -> None:
        super().__init__(f"job {job_id} runs, in the process {runner}")
        self.job_id, self.runner = job_id, runner


class JobStands(Conflict):
    """House-keeping is never done, so it cannot be cancelled."""

    def __init__(self, job_id: str, kind: str) -> None:
        super().__init__(f"job {job_id} ({kind}) is house-keeping, which is never over: it cannot be cancelled")
        self.job_id, self.kind = job_id, kind


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenJob:
    """One job as it is now; times in microseconds since 1970."""

    id: str
    kind: str
    state: State
    document: Mapping[str, Any] = field(repr=False)  # may hold the signature of a URL: not to be shown
    attempts: int
    created_at: int
    run_at: int | None  # when it is due; None: it runs, or was given up
    began_at: int | None
    failed_at: int | None
    runner: str | None
    error: str | None  # why it failed last
    cancelled_by: str | None


@dataclass(frozen=True, slots=True)
class Count:
    """The jobs of one kind."""

    by_state: Mapping[State, int]
    oldest_at: int | None  # when the oldest one that is not over was entered


class Overview:
    """All jobs of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def jobs(
        self, *, state: State | None = None, kind: str | None = None, image_id: str | None = None
    ) -> Iterator[SeenJob]:
        """Yield jobs, those first that were entered first.

        Args:
            image_id: Only those of which the image is the subject.
        """
        wanted = [] if state is None else [_IN[state]]
        wanted += [] if kind is None else [jobs.c.kind == kind]
        wanted += [] if image_id is None else [jobs.c.document.contains(image_id, autoescape=True)]
        query = select(jobs).where(*wanted).order_by(jobs.c.created_at, jobs.c.id).limit(_AT_ONCE)
        last: Any = None
        while True:
            further = query
            if last is not None:
                later = and_(jobs.c.created_at == last.created_at, jobs.c.id > last.id)
                further = query.where(or_(jobs.c.created_at > last.created_at, later))
            rows = self._database.read(lambda connection, further=further: connection.execute(further).all())  # type: ignore[misc]  # binds this turn's query
            for job in map(_seen, rows):
                if image_id is None or job.document.get("image_id") == image_id:
                    yield job
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1]

    def get(self, job_id: str) -> SeenJob:
        """Return one job or raise ``JobNotFound``."""
        return self._database.read(lambda connection: _get(connection, job_id))

    def cancel(self, job_id: str, by: str, now: int) -> SeenJob:
        """Let a job end, and return it as it was.

        Raises:
            JobNotFound, JobStands: There is no such job, or it is not of those that end.
        """

        def work(connection: Connection) -> SeenJob:
            job = _get(connection, job_id)
            if job.id == queue.standing_id(job.kind):
                raise JobStands(job.id, job.kind)
            queue.cancel(connection, job.id, by, now)
            return job

        return self._database.write(work)

    def retry(self, job_id: str, now: int) -> SeenJob:
        """Let a job that waits or was given up be run at once, with all its attempts before it; return it as it was.

        Raises:
            JobNotFound, JobRuns: There is no such job, or somebody runs it.
        """

        def work(connection: Connection) -> SeenJob:
            job = _get(connection, job_id)
            if job.runner is not None:
                raise JobRuns(job.id, job.runner)
            values = {"run_at": queue.soon(now), "failed_at": None, "attempts": 0}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
            return job

        return self._database.write(work)

    def count(self, kinds: Collection[str]) -> dict[str, Count]:
        """Return how many jobs of each of these kinds there are."""
        columns = [func.count(case((which, 1))).label(state.value) for state, which in _IN.items()]
        oldest = func.min(case((jobs.c.failed_at.is_(None), jobs.c.created_at))).label("oldest_at")
        query = select(jobs.c.kind, *columns, oldest).where(jobs.c.kind.in_(sorted(kinds))).group_by(jobs.c.kind)
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        none = Count(dict.fromkeys(State, 0), None)
        found = {row["kind"]: Count({each: row[each.value] for each in State}, row["oldest_at"]) for row in rows}
        return {kind: found.get(kind, none) for kind in kinds}


def _get(connection: Connection, job_id: str) -> SeenJob:
    row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).first()
    if row is None:
        raise JobNotFound(job_id)
    return _seen(row)


def _seen(row: Any) -> SeenJob:
    state = State.FAILED if row.failed_at is not None else State.RUNNING if row.runner is not None else State.WAITING
    return SeenJob(
        id=row.id,
        kind=row.kind,
        state=state,
        document=msgspec.json.decode(row.document),
        attempts=row.attempts,
        created_at=row.created_at,
        run_at=row.run_at if state is State.WAITING else None,
        began_at=row.began_at,
        failed_at=row.failed_at,
        runner=row.runner,
        error=row.error,
        cancelled_by=row.cancelled_by,
    )
