"""The projects that an image is shared with, kept in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import image_members, images
from headwater.errors import Conflict, NotFound, TooLarge
from headwater.images.rows import ImageNotFound


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

    def add(self, image_id: str, member: str, at: int, limit: int) -> Member:
        """Share the image with a project, which is asked to accept.

        Args:
            limit: How many members an image may have; -1: any number.

        Raises:
            ImageNotFound, MemberExists, TooManyMembers: As their names say.
        """
        new = Member(image_id=image_id, member=member, status=MemberStatus.PENDING, created_at=at, updated_at=at)

        def work(connection: Connection) -> None:
            locked = select(images.c.created_at).where(images.c.id == image_id).with_for_update()
            image = connection.execute(locked).first()
            if image is None:
                raise ImageNotFound(image_id)
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
                    "created_at": at,
                    "updated_at": at,
                    "image_created_at": image.created_at,
                },
            )

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

    def set_status(self, image_id: str, member: str, status: MemberStatus, at: int) -> Member:
        """Keep what the project said; raise ``MemberNotFound`` when it is no member."""
        statement = (
            update(image_members)
            .where(image_members.c.image_id == image_id, image_members.c.member == member)
            .values(status=status.value, updated_at=at)
        )
        if self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise MemberNotFound(image_id, member)
        found = self.get(image_id, member)
        if found is None:
            raise MemberNotFound(image_id, member)
        return found

    def remove(self, image_id: str, member: str) -> None:
        """Share the image with this project no more; raise ``MemberNotFound`` when it is no member."""
        statement = delete(image_members).where(image_members.c.image_id == image_id, image_members.c.member == member)
        if self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise MemberNotFound(image_id, member)


def _member(row: Any) -> Member:
    return Member(
        image_id=row.image_id,
        member=row.member,
        status=MemberStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
