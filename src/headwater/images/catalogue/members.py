"""The projects that an image is shared with, kept in SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, replace
from heapq import merge
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update

from headwater.database.engine import Database
from headwater.database.tables import image_members, images
from headwater.images.catalogue.rows import locked
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.member import MayNotShare, Member, MemberExists, MemberNotFound, MemberStatus, TooManyMembers
from headwater.images.model import Image

_BLOCK = 500  # of what is shared with a project
_AGE = attrgetter("image_created_at", "image_id")


class MemberRows:
    """All members of all images; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def with_project(self, member: str) -> Iterator[tuple[Member, str | None, str]]:
        """Yield what is shared with a project, oldest image first: each with the image's owner and visibility.

        It is read in blocks, so what changes meanwhile may be told as it was or as it is; nothing is told twice.
        """
        told = None
        for row in merge(*(self._said(member, status) for status in MemberStatus), key=_AGE):
            if _AGE(row) != told:
                yield _member(row), row.owner, row.visibility
            told = _AGE(row)

    def _said(self, member: str, status: MemberStatus) -> Iterator[Row[Any]]:
        """Yield the rows of what a project said this to, in the order of the index, oldest image first."""
        created_at, image_id = image_members.c.image_created_at, image_members.c.image_id
        query = (
            select(image_members, images.c.owner, images.c.visibility)
            .join(images, images.c.id == image_id)
            .where(image_members.c.member == member, image_members.c.status == status.value)
            .order_by(created_at, image_id)
            .limit(_BLOCK)
        )
        block = self._database.read(lambda connection: connection.execute(query).all())
        while block:
            yield from block
            if len(block) < _BLOCK:
                return
            at, last = _AGE(block[-1])
            after = query.where(created_at >= at, or_(created_at > at, image_id > last))
            block = self._database.read(lambda connection, after=after: connection.execute(after).all())  # type: ignore[misc]  # binds this turn's query

    def of(self, image_id: str) -> list[Member]:
        """Return the members of an image, oldest first."""
        query = select(image_members).where(image_members.c.image_id == image_id)
        query = query.order_by(image_members.c.created_at, image_members.c.member)
        return self._database.read(lambda connection: [_member(row) for row in connection.execute(query)])

    def accepted(self, image_ids: Collection[str]) -> set[str]:
        """Return which of some images a project has accepted that they are shared with."""
        query = select(image_members.c.image_id).distinct()
        query = query.where(
            image_members.c.image_id.in_(image_ids), image_members.c.status == MemberStatus.ACCEPTED.value
        )
        return self._database.read(lambda connection: set(connection.scalars(query)))

    def get(self, image_id: str, member: str) -> Member | None:
        """Return one member of an image, if it is one."""
        query = select(image_members).where(image_members.c.image_id == image_id, image_members.c.member == member)
        row = self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else _member(row)


# --- Steps of changes -----------------------------------------------------------------------------


def added(new: Member, limit: int, allowed: Callable[[Image], None]) -> Step[Member]:
    """Share the image with a project and return it as a member.

    Args:
        limit: How many members an image may have; -1: any number.
        allowed: Raises when the image may not be shared.

    Raises:
        ImageNotFound, MemberExists, TooManyMembers: As their names say.
    """
    image_id, member = new.image_id, new.member

    def step(transaction: Transaction) -> Member:
        connection = transaction.connection
        image = locked(transaction, image_id)
        allowed(image)
        mine = image_members.c.image_id == image_id
        if connection.execute(select(image_members.c.member).where(mine, image_members.c.member == member)).first():
            raise MemberExists(image_id, member)
        if limit >= 0 and (connection.scalar(select(func.count()).where(mine)) or 0) >= limit:
            raise TooManyMembers(limit)
        _insert(connection, new, image.created_at)
        transaction.heard(None, new)
        return new

    return step


def put(
    image_id: str,
    wanted: Mapping[str, bool | None],
    limit: int,
    allowed: Callable[[Image], None],
    *,
    at: int,
    others_stay: bool,
    sharer: str | None = None,
) -> Step[None]:
    """Share the image with these projects, which need not accept; each of them is an entry of its own.

    Args:
        wanted: For each project whether it may share the image further; ``None`` leaves that as it is.
        limit: How many members an image may have; -1: any number.
        allowed: Raises when the image may not be shared so.
        others_stay: Keep the members that are not named.
        sharer: The member that does this, if its being allowed to share further is why it may.

    Raises:
        ImageNotFound, TooManyMembers, MayNotShare: As their names say.
    """

    def step(transaction: Transaction) -> None:
        connection = transaction.connection
        image = locked(transaction, image_id)
        allowed(image)
        _require_sharer(connection, image_id, sharer)
        rows = connection.execute(select(image_members).where(image_members.c.image_id == image_id))
        members = {row.member: _member(row) for row in rows}
        left = members.keys() | wanted.keys() if others_stay else wanted.keys()
        if -1 < limit < len(left) and not left <= members.keys():
            raise TooManyMembers(limit)
        for name in sorted(members.keys() - left):
            connection.execute(delete(image_members).where(*_of(image_id, name)))
            transaction.heard(members[name], None, "image.member.delete")
        for name, can_share in wanted.items():
            before = members.get(name)
            after = _put(image_id, name, before, can_share, at)
            if before is None:
                _insert(connection, after, image.created_at)
                transaction.heard(None, after, "image.member.create")
            elif after != before:
                values = {"can_share": after.can_share, "updated_at": at}
                connection.execute(update(image_members).where(*_of(image_id, name)).values(values))
                transaction.heard(before, after, "image.member.update")

    return step


def answered(image_id: str, member: str, status: MemberStatus, at: int) -> Step[Member]:
    """Keep what the project said and return the member.

    Raises:
        ImageNotFound, MemberNotFound: As their names say.
    """

    def step(transaction: Transaction) -> Member:
        locked(transaction, image_id)
        before = _locked(transaction.connection, image_id, member)
        after = replace(before, status=status, updated_at=at)
        values = {"status": status.value, "updated_at": at}
        transaction.connection.execute(update(image_members).where(*_of(image_id, member)).values(values))
        transaction.heard(before, after)
        return after

    return step


def removed(image_id: str, member: str, allowed: Callable[[Image], None], *, sharer: str | None = None) -> Step[None]:
    """Share the image with this project no more.

    Args:
        allowed: Raises when the image may not lose its members.
        sharer: The member that does this, if its being allowed to share further is why it may.

    Raises:
        ImageNotFound, MemberNotFound, MayNotShare: As their names say.
    """

    def step(transaction: Transaction) -> None:
        connection = transaction.connection
        allowed(locked(transaction, image_id))
        _require_sharer(connection, image_id, sharer)
        before = _locked(connection, image_id, member)
        connection.execute(delete(image_members).where(*_of(image_id, member)))
        transaction.heard(before, None)

    return step


def _require_sharer(connection: Connection, image_id: str, sharer: str | None) -> None:
    if sharer is None:
        return
    query = select(image_members.c.can_share).where(*_of(image_id, sharer)).with_for_update()
    if not connection.scalar(query):
        raise MayNotShare(image_id)


def _put(image_id: str, member: str, before: Member | None, can_share: bool | None, at: int) -> Member:
    if before is None:
        return Member(
            image_id=image_id,
            member=member,
            status=MemberStatus.ACCEPTED,
            created_at=at,
            updated_at=at,
            can_share=bool(can_share),
        )
    if can_share is None or can_share == before.can_share:
        return before
    return replace(before, can_share=can_share, updated_at=at)


def _insert(connection: Connection, new: Member, image_created_at: int) -> None:
    row = {field.name: getattr(new, field.name) for field in fields(new)}
    row |= {"status": new.status.value, "image_created_at": image_created_at}
    connection.execute(insert(image_members), row)


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
        can_share=bool(row.can_share),
    )
