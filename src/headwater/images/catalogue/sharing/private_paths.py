"""Secret paths of projects' views, kept in SQL: of each secret its hash only, which finds it and does not tell it.

A path that is over is not found, and goes when the next one is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select

from headwater.clock import timestamp
from headwater.database.engine import Database
from headwater.database.tables import private_paths
from headwater.errors import NotFound, TooLarge
from headwater.images.catalogue.transaction import Step, Transaction

MOST = 100  # of one project


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivatePath:
    """A secret path to what one project sees, without the secret."""

    id: str
    project_id: str
    user_id: str | None  # who made it
    name: str | None  # what it is for, in the words of who made it
    with_community: bool  # community images of other projects are in the view
    created_at: int  # microseconds since 1970, as all times here
    expires_at: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "id": self.id,
            "name": self.name,
            "project_id": self.project_id,
            "user_id": self.user_id,
            "community": self.with_community,
            "created_at": timestamp(self.created_at),
            "expires_at": None if self.expires_at is None else timestamp(self.expires_at),
        }


class PathNotFound(NotFound):
    """No secret path has this id, or it is another project's."""

    def __init__(self, path_id: str) -> None:
        super().__init__(f"No private path found with id {path_id}")
        self.path_id = path_id


class TooManyPaths(TooLarge):
    """A project has as many secret paths as anybody needs."""

    def __init__(self, project_id: str) -> None:
        super().__init__(f"The project {project_id} has {MOST} private paths already: revoke one that nobody uses")
        self.project_id = project_id


class PrivatePathRows:
    """The paths of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, secret: str, now: int) -> PrivatePath | None:
        """Return the path of a secret; ``None``: there is none, or it is over. Each takes the same question."""
        row = self._first(private_paths.c.secret_hash == _hashed(secret), _lasts(now))
        return None if row is None else _path(row)

    def get(self, path_id: str, now: int) -> PrivatePath:
        """Return one path.

        Raises:
            PathNotFound: There is none of this id, or it is over.
        """
        row = self._first(private_paths.c.id == path_id, _lasts(now))
        if row is None:
            raise PathNotFound(path_id)
        return _path(row)

    def of(self, project_id: str | None, now: int) -> list[PrivatePath]:
        """Return the paths of a project, oldest first; ``None``: of all projects."""
        query = select(private_paths).where(_lasts(now)).order_by(private_paths.c.created_at, private_paths.c.id)
        if project_id is not None:
            query = query.where(private_paths.c.project_id == project_id)
        rows: Sequence[Row[Any]] = self._database.read(lambda connection: connection.execute(query).all())
        return [_path(row) for row in rows]

    def _first(self, *conditions: ColumnElement[bool]) -> Row[Any] | None:
        query = select(private_paths).where(*conditions)
        return self._database.read(lambda connection: connection.execute(query).first())


# --- Steps of changes -----------------------------------------------------------------------------


def added(new: PrivatePath, secret: str) -> Step[PrivatePath]:
    """Keep a new path, and return it; those of its project that are over go.

    Raises:
        TooManyPaths: Its project has ``MOST`` of them.
    """

    def step(transaction: Transaction) -> PrivatePath:
        connection, table = transaction.connection, private_paths
        its_own = table.c.project_id == new.project_id
        connection.execute(delete(table).where(its_own, table.c.expires_at <= new.created_at))
        count: int = connection.scalar(select(func.count()).select_from(table).where(its_own)) or 0
        if count >= MOST:
            raise TooManyPaths(new.project_id)
        connection.execute(
            insert(table),
            {
                "id": new.id,
                "secret_hash": _hashed(secret),
                "project_id": new.project_id,
                "user_id": new.user_id,
                "name": new.name,
                "with_community": new.with_community,
                "created_at": new.created_at,
                "expires_at": new.expires_at,
            },
        )
        transaction.heard(None, new)
        return new

    return step


def removed(path_id: str) -> Step[None]:
    """Forget a path, so that it leads nowhere from now on.

    Raises:
        PathNotFound: It is gone already.
    """

    def step(transaction: Transaction) -> None:
        connection: Connection = transaction.connection
        mine = private_paths.c.id == path_id
        row = connection.execute(select(private_paths).where(mine).with_for_update()).first()
        if row is None:
            raise PathNotFound(path_id)
        connection.execute(delete(private_paths).where(mine))
        transaction.heard(_path(row), None)

    return step


def _hashed(secret: str) -> str:
    # Nobody guesses what has more than 128 random bits: a hash that is slow on purpose would protect nothing more.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _lasts(now: int) -> ColumnElement[bool]:
    return or_(private_paths.c.expires_at.is_(None), private_paths.c.expires_at > now)


def _path(row: Row[Any]) -> PrivatePath:
    return PrivatePath(
        id=row.id,
        project_id=row.project_id,
        user_id=row.user_id,
        name=row.name,
        with_community=bool(row.with_community),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
