"""Sources and their state, kept in SQL; a run is a job that is entered in the transaction in which it becomes due."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headwater.config import Section
from headwater.database.engine import Database
from headwater.database.tables import jobs, stream_sources
from headwater.jobs import leases, queue
from headwater.streams.syncing.sources.source import (
    Outcome,
    Source,
    SourceExists,
    SourceNotFound,
    SourceSettings,
    TooManySources,
)
from headwater.streams.syncing.terms import SyncTerms

KIND: Final = "sync-source"
MOST_SOURCES: Final = 1000
_MOST_OF_AN_ERROR: Final = 2000  # characters


class SourceRows:
    """All sources of one database; safe to use from several threads and processes."""

    def __init__(self, database: Database, chance: random.Random | None = None) -> None:
        self._database = database
        self._chance = chance or random.Random()  # noqa: S311  # spreads load, keeps no secret

    def all(self) -> list[Source]:
        """Return all sources in the order of their names."""
        query = select(stream_sources).order_by(stream_sources.c.name).limit(MOST_SOURCES)
        return self._database.read(lambda connection: [_source(row) for row in connection.execute(query)])

    def get(self, name: str) -> Source:
        """Return a source or raise ``SourceNotFound``."""
        return self._database.read(lambda connection: _get(connection, name))

    def of_id(self, source_id: str) -> Source | None:
        """Return a source by its id; ``None``: it is gone."""
        query = select(stream_sources).where(stream_sources.c.id == source_id)
        row = self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else _source(row)

    def add(self, settings: SourceSettings, project_id: str | None, now: int) -> Source:
        """Enter a source, due at once if it runs by itself.

        Raises:
            SourceExists, TooManySources: Another one has its name, or there are very many.
        """
        row = {
            "id": str(uuid.uuid4()),
            "name": settings.name,
            "document": _document(settings),
            "project_id": project_id,
            "created_at": now,
            "updated_at": now,
            "next_run_at": now if settings.enabled else None,
        }

        def work(connection: Connection) -> None:
            there = connection.execute(select(func.count()).select_from(stream_sources)).scalar_one()
            if there >= MOST_SOURCES:
                raise TooManySources(MOST_SOURCES)
            connection.execute(insert(stream_sources), row)

        try:
            self._database.write(work)
        except IntegrityError as error:
            raise SourceExists(settings.name) from error
        return self.get(settings.name)

    def change(self, name: str, change: Callable[[SourceSettings], SourceSettings], now: int) -> tuple[Source, Source]:
        """Give a source other settings; return it as it was and as it is.

        Raises:
            SourceNotFound, SourceExists: There is none, or another one has the new name.
        """

        wanted = name

        def work(connection: Connection) -> tuple[Source, Source]:
            nonlocal wanted
            before = _get(connection, name)
            settings = change(before.settings)
            wanted = settings.name
            values: dict[str, Any] = {"name": settings.name, "document": _document(settings), "updated_at": now}
            if (settings.enabled, settings.interval_s, settings.jitter_s) != (
                before.settings.enabled,
                before.settings.interval_s,
                before.settings.jitter_s,
            ):
                last = before.began_at
                due = now if last is None else max(now, settings.next_after(last, self._chance) or now)
                values["next_run_at"] = due if settings.enabled else None
            connection.execute(update(stream_sources).where(stream_sources.c.id == before.id).values(values))
            return before, _get(connection, settings.name)

        try:
            return self._database.write(work)
        except IntegrityError as error:
            raise SourceExists(wanted) from error

    def remove(self, name: str, by: str, now: int) -> Source:
        """Forget a source, and end its run; its images stay."""

        def work(connection: Connection) -> Source:
            source = _get(connection, name)
            if source.job_id is not None:
                queue.cancel(connection, source.job_id, by, now)
            connection.execute(delete(stream_sources).where(stream_sources.c.id == source.id))
            return source

        return self._database.write(work)

    # --- Runs ----------------------------------------------------------------------------------------

    def enter_due(self, now: int) -> int:
        """Enter a run of each source that is due and has none, and return how many; of several callers one does.

        A source that would wait for longer than it ever does was put off by a clock that was ahead, and is due.
        """
        ahead = now + leases.ASTRAY_S * 1_000_000
        due = (
            or_(
                stream_sources.c.next_run_at <= now,
                (stream_sources.c.next_run_at > ahead)
                & or_(stream_sources.c.began_at > ahead, stream_sources.c.created_at > ahead),
            ),
        )
        query = select(stream_sources.c.name).where(*due).order_by(stream_sources.c.next_run_at).limit(100)
        names = self._database.read(lambda connection: list(connection.scalars(query)))
        return sum(self._database.write(partial(self._enter_due, name=name, now=now)) for name in names)

    def _enter_due(self, connection: Connection, *, name: str, now: int) -> bool:
        try:
            source = _get(connection, name)
        except SourceNotFound:
            return False
        latest = now + (source.settings.longest_wait_s + leases.ASTRAY_S) * 1_000_000
        if source.next_run_at is None or now < source.next_run_at <= latest:
            return False
        is_entered = not _has_run(connection, source)
        self._entered(connection, source, now, enters=is_entered)
        return is_entered

    def run(self, name: str, now: int) -> Source:
        """Enter a run at once, unless one waits or goes on, and return the source."""

        def work(connection: Connection) -> Source:
            source = _get(connection, name)
            if not _has_run(connection, source):
                self._entered(connection, source, now, enters=True)
            elif source.job_id is not None:
                waits = (jobs.c.id == source.job_id, jobs.c.runner.is_(None))
                connection.execute(update(jobs).where(*waits).values(run_at=queue.soon(now)))
            return _get(connection, name)

        return self._database.write(work)

    def _entered(self, connection: Connection, source: Source, now: int, *, enters: bool) -> None:
        values: dict[str, Any] = {"next_run_at": source.settings.next_after(now, self._chance)}
        if enters:
            values["job_id"] = queue.enter(connection, KIND, {"source_id": source.id}, now=now)
            values["ended_at"] = None
        connection.execute(update(stream_sources).where(stream_sources.c.id == source.id).values(values))

    def cancel(self, name: str, by: str, now: int) -> bool:
        """Let the run of a source end; return whether there is one."""

        def work(connection: Connection) -> bool:
            source = _get(connection, name)
            if source.job_id is None or not _has_run(connection, source):
                return False
            queue.cancel(connection, source.job_id, by, now)
            return True

        return self._database.write(work)

    def began(self, source_id: str, now: int) -> None:
        """Note that a run began."""
        self._note(source_id, {"began_at": now, "ended_at": None, "outcome": Outcome.RUNNING.value, "error": None})

    def failed(self, source_id: str, error: str) -> None:
        """Note why a run failed that will be tried again."""
        self._note(source_id, {"error": _bounded(error)})

    def ended(
        self, source_id: str, outcome: Outcome, now: int, *, error: str | None, report: Mapping[str, Any] | None
    ) -> None:
        """Note how a run ended; the report of one that did not come to its end is not kept."""
        values: dict[str, Any] = {"ended_at": now, "outcome": outcome.value}
        values["error"] = None if error is None else _bounded(error)
        if report is not None:
            values["report"] = msgspec.json.encode(report).decode()
        if outcome is Outcome.DONE:
            values["succeeded_at"] = now
        self._note(source_id, values)

    def _note(self, source_id: str, values: Mapping[str, Any]) -> None:
        statement = update(stream_sources).where(stream_sources.c.id == source_id).values(**values)
        self._database.write(lambda connection: connection.execute(statement))


def _bounded(error: str) -> str:
    return error.replace("\0", "")[:_MOST_OF_AN_ERROR]


def _has_run(connection: Connection, source: Source) -> bool:
    """Return whether a run waits or goes on: the job of one that has ended is there for a moment longer."""
    if source.job_id is None or source.ended_at is not None:
        return False
    query = select(jobs.c.id).where(jobs.c.id == source.job_id, jobs.c.failed_at.is_(None))
    return connection.execute(query).first() is not None


def _get(connection: Connection, name: str) -> Source:
    row = connection.execute(select(stream_sources).where(stream_sources.c.name == name).with_for_update()).first()
    if row is None:
        raise SourceNotFound(name)
    return _source(row)


def _document(settings: SourceSettings) -> str:
    return settings.model_dump_json(exclude_unset=True)


def _settings(document: str) -> SourceSettings:
    """Read settings, maybe those of another release: what is not known here is left out."""
    given = _known(SourceSettings, msgspec.json.decode(document))
    return SourceSettings.model_validate({**given, "terms": _known(SyncTerms, given.get("terms") or {})})


def _known(section: type[Section], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in section.model_fields}


def _source(row: Any) -> Source:
    return Source(
        id=row.id,
        settings=_settings(row.document),
        project_id=row.project_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        next_run_at=row.next_run_at,
        job_id=row.job_id,
        began_at=row.began_at,
        ended_at=row.ended_at,
        succeeded_at=row.succeeded_at,
        outcome=Outcome(row.outcome) if row.outcome else None,
        error=row.error,
        report=msgspec.json.decode(row.report) if row.report else None,
    )
