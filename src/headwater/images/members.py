"""The projects that an image is shared with, kept in SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import image_members
from headwater.errors import Conflict, NotFound, TooLarge
from headwater.images.model import Image
from headwater.images.rows import Keep, locked, unheard


class MemberStatus(StrEnum):
    """What a project that an image is shared with has said to it."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class MemberExists(Conflict):
    """The image is shared with this project already."""

    def __init__(self, image_id: str, member: str) -> None:
        super().__init__(f"Image {image_id} is shared with project {member} already")
        self.image_id, self.member = image_id, member


class MemberNotFound(NotFound):
    """The image is not shared with this project, or the caller may not know."""

    def __init__(self, image_id: str, member: str) -> None:
        super().__init__(f"{member} not found in the member list of the image {image_id}.")
        self.image_id, self.member = image_id, member


class TooManyMembers(TooLarge):
    """An image is shared with so many projects and no more."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The limit has been exceeded on the number of allowed image members for this image. Maximum: {limit}"
        )
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One project that one image is shared with."""

    image_id: str
    member: str  # project id; whether there is such a project is not checked
    status: MemberStatus
    created_at: int  # microseconds since 1970, UTC
    updated_at: int


class Members:
    """All members of all images; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Member, limit: int, allowed: Callable[[Image], None], keep: Keep = unheard) -> Member:
        """Share the image with a project and return it as a member.

        Args:
            limit: How many members an image may have; -1: any number.
            allowed: Raises when the image, which nobody else changes meanwhile, may not be shared.

        Raises:
            ImageNotFound, MemberExists, TooManyMembers: As their names say.
        """
        image_id, member = new.image_id, new.member

        def work(connection: Connection) -> None:
            image = locked(connection, image_id)
            allowed(image)
            mine = image_members.c.image_id == image_id
            if connection.execute(select(image_members.c.member).where(mine, image_members.c.member == member)).first():
                raise MemberExists(image_id, member)
            if limit >= 0 and (connection.scalar(select(func.count()).where(mine)) or 0) >= limit:
                raise TooManyMembers(limit)
            connection.execute(
                insert(image_members),
                {
                    "image_id": image_id,
                    "member": member,
                    "status": new.status.value,
                    "created_at": new.created_at,
                    "updated_at": new.updated_at,
                    "image_created_at": image.created_at,
                },
            )
            keep(connection, None, new)

        try:
            self._database.write(work)
        except IntegrityError as error:
            raise MemberExists(image_id, member) from error
        return new

    def of(self, image_id: str) -> list[Member]:
        """Return the members of an image, oldest first."""
        query = select(image_members).where(image_members.c.image_id == image_id)
        query = query.order_by(image_members.c.created_at, image_members.c.member)
        return self._database.read(lambda connection: [_member(row) for row in connection.execute(query)])

    def get(self, image_id: str, member: str) -> Member | None:
        """Return one member of an image, if it is one."""
        query = select(image_members).where(image_members.c.image_id == image_id, image_members.c.member == member)
        row = self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else _member(row)

    def set_status(self, image_id: str, member: str, status: MemberStatus, at: int, keep: Keep = unheard) -> Member:
        """Keep what the project said and return the member; raise ``MemberNotFound`` when it is none."""

        def work(connection: Connection) -> Member:
            before = _locked(connection, image_id, member)
            after = replace(before, status=status, updated_at=at)
            values = {"status": status.value, "updated_at": at}
            connection.execute(update(image_members).where(*_of(image_id, member)).values(values))
            keep(connection, before, after)
            return after

        return self._database.write(work)

    def remove(self, image_id: str, member: str, allowed: Callable[[Image], None], keep: Keep = unheard) -> None:
        """Share the image with this project no more.

        Args:
            allowed: Raises when the image, which nobody else changes meanwhile, may not lose its members.

        Raises:
            ImageNotFound, MemberNotFound: As their names say.
        """

        def work(connection: Connection) -> None:
            allowed(locked(connection, image_id))
            before = _locked(connection, image_id, member)
            connection.execute(delete(image_members).where(*_of(image_id, member)))
            keep(connection, before, None)

        self._database.write(work)


def _of(image_id: str, member: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return image_members.c.image_id == image_id, image_members.c.member == member


def _locked(connection: Connection, image_id: str, member: str) -> Member:
    row = connection.execute(select(image_members).where(*_of(image_id, member)).with_for_update()).first()
    if row is None:
        raise MemberNotFound(image_id, member)
    return _member(row)


def _member(row: Any) -> Member:
    return Member(
        image_id=row.image_id,
        member=row.member,
        status=MemberStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
