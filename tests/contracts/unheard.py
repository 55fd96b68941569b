"""Catalogues that tests write to as they like: nobody judges what they do, and nobody is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from headwater.activity.journal import Journal
from headwater.database.engine import Database
from headwater.identity.caller import Caller
from headwater.images.catalogue import images, locations, members, upload_records
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.deletions.pending_deletes import Deletion
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.locations import LocationRows
from headwater.images.catalogue.members import MemberRows
from headwater.images.catalogue.transaction import Step
from headwater.images.catalogue.upload_records import Upload, UploadRows
from headwater.images.member import Member, MemberStatus
from headwater.images.metadefs import catalogue as namespaces
from headwater.images.metadefs.catalogue import MetadefRows
from headwater.images.metadefs.model import Namespace
from headwater.images.model import Held, Image, Location

T = TypeVar("T")


class Nobody:
    """Judges nothing, and shows nothing."""

    def visible(self, caller: Caller, image_id: str) -> Image:
        raise NotImplementedError

    def require(self, rule: str, caller: Caller, image: Image, *, member_id: str | None = None) -> None:
        """Let everybody do everything."""


def unheard_changes(database: Database, journal: Journal | None = None) -> Changes:
    """Return the unit of work of those who are judged by nobody."""
    return Changes(database, Nobody(), journal=journal)


def commit(database: Database, step: Step[T], *more: Step[Any]) -> T:
    """Run steps in one transaction, and return what the first one returns."""
    with unheard_changes(database).told(None, "test") as change:
        return change.commit(step, *more)


class UnheardImages(ImageRows):
    """Images."""

    def create(self, image: Image, *, fresh_id: bool) -> None:
        commit(self._database, images.created(image, fresh_id=fresh_id))

    def create_all(self, *new: Image) -> None:
        """Create images with new ids in one transaction."""
        if new:
            commit(self._database, *(images.created(image, fresh_id=True) for image in new))

    def change(self, image_id: str, change: Callable[[Image], Image]) -> Image:
        return commit(self._database, images.changed(image_id, change))

    def delete(self, image_id: str, allowed: Callable[[Image], None], now: int) -> list[Location]:
        return commit(self._database, images.deleted(image_id, allowed, Deletion(at=now, scrub_at=now)))


class UnheardLocations(LocationRows):
    """Their locations."""

    def change(
        self, image_id: str, change: Callable[[Image, Held], tuple[Image, Held]], now: int
    ) -> tuple[Image, list[Location]]:
        return commit(self._database, locations.changed(image_id, change, now))


class UnheardMembers(MemberRows):
    """Their members."""

    def add(self, new: Member, limit: int, allowed: Callable[[Image], None]) -> Member:
        return commit(self._database, members.added(new, limit, allowed))

    def add_all(self, *new: Member) -> None:
        """Share images in one transaction; who has answered did so when it was shared with."""
        steps: list[Step[Any]] = []
        for each in new:
            steps.append(members.added(replace(each, status=MemberStatus.PENDING), -1, lambda _image: None))
            if each.status is not MemberStatus.PENDING:
                steps.append(members.answered(each.image_id, each.member, each.status, each.created_at))
        commit(self._database, *steps)

    def put(
        self,
        image_id: str,
        wanted: Mapping[str, bool | None],
        limit: int,
        allowed: Callable[[Image], None],
        journal: Journal | None = None,
        *,
        at: int,
        others_stay: bool,
    ) -> None:
        """Share an image; ``journal`` hears of it."""
        put = members.put(image_id, wanted, limit, allowed, at=at, others_stay=others_stay)
        with unheard_changes(self._database, journal).told(None, "image.member.create", if_moved=True) as change:
            change.commit(put)

    def set_status(self, image_id: str, member: str, status: MemberStatus, at: int) -> Member:
        return commit(self._database, members.answered(image_id, member, status, at))

    def remove(self, image_id: str, member: str, allowed: Callable[[Image], None]) -> None:
        commit(self._database, members.removed(image_id, member, allowed))


class UnheardUploads(UploadRows):
    """The uploads on their way to them."""

    def begin_upload(self, upload: Upload, change: Callable[[Image], Image]) -> Image:
        return commit(self._database, upload_records.begun(upload, change))

    def finish_upload(self, image_id: str, location: Location, change: Callable[[Image], Image]) -> Image:
        return commit(self._database, upload_records.finished(image_id, location, change))

    def abandon_upload(
        self, image_id: str, location: Location, change: Callable[[Image], Image], *, discarded_at: int | None
    ) -> bool:
        step = upload_records.abandoned(image_id, location, change, discarded_at=discarded_at)
        return commit(self._database, step)

    def take_over(self, upload: Upload, change: Callable[[Image], Image], now: int) -> bool:
        return commit(self._database, upload_records.taken_over(upload, change, now))


class UnheardNamespaces(MetadefRows):
    """Metadata definitions."""

    def create(self, namespace: Namespace) -> None:
        commit(self._database, namespaces.created(namespace))

    def change(self, namespace: str, change: Callable[[Namespace], Namespace]) -> Namespace:
        return commit(self._database, namespaces.changed(namespace, change))

    def delete(self, namespace: str, allowed: Callable[[Namespace], None]) -> None:
        commit(self._database, namespaces.deleted(namespace, allowed))
