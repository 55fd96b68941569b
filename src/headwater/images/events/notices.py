"""Tell others what happens to images: the journal's entries as OpenStack's events.

Kept in the transaction of the entry, so that nothing is told that did not happen, and all is that did.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headwater.activity.journal import Entry
from headwater.activity.notifications.event import Event
from headwater.activity.notifications.notifier import Notifications
from headwater.clock import Clock, now
from headwater.images.events import metadef_payloads as metadefs
from headwater.images.events.payloads import image_payload, member_payload, send_payload
from headwater.images.member import Member
from headwater.images.metadefs.model import Namespace
from headwater.images.model import Image, Status

SEND = "image.send"

# What else happens to an image is told as image.update.
_OWN_EVENTS = frozenset({"image.create", "image.prepare", "image.upload", "image.delete"})

Told = tuple[str, str, dict[str, Any]]  # type, subject, payload


class Notices:
    """A listener of the journal; safe to use from several threads."""

    def __init__(
        self,
        notifications: Notifications,
        *,
        clock: Clock = now,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._notifications = notifications
        self._clock = clock
        self._new_id = new_id

    def moved(self, entry: Entry) -> Iterable[Event]:
        """Return the events of an entry, those that somebody is told of."""
        if not self._notifications.is_on:
            return ()
        at = self._clock()
        return [self._event(entry, at, *each) for each in _told(entry, at) if self._notifications.tells(each[0])]

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        """Nothing more is told: what failed did not happen."""

    def sends(self) -> bool:
        """Return whether anybody is told of downloads."""
        return self._notifications.tells(SEND)

    def sent(self, entry: Entry, image: Image, bytes_sent: int, *, whole: bool) -> None:
        """Tell that data of an image was sent; ``whole`` says whether all that was asked for."""
        caller = entry.caller
        payload = send_payload(
            image,
            bytes_sent,
            project_id=caller.project_id if caller else None,
            user_id=caller.user_id if caller else None,
        )
        event = self._event(entry, self._clock(), SEND, image.id, payload, priority="INFO" if whole else "ERROR")
        self._notifications.tell([event])

    def _event(
        self, entry: Entry, at: int, event_type: str, subject: str, payload: dict[str, Any], *, priority: str = "INFO"
    ) -> Event:
        caller = entry.caller
        return Event(
            id=self._new_id(),
            type=event_type,
            subject=subject,
            payload=payload,
            at=at,
            publisher_id=self._notifications.publisher,
            priority=priority,
            request_id=caller.request_id if caller else None,
            user_id=caller.user_id if caller else None,
            project_id=caller.project_id if caller else None,
        )


def _told(entry: Entry, at: int) -> Iterator[Told]:
    before, after = entry.before, entry.after
    kind = type(before if after is None else after)
    if kind is Image:
        yield from _of_image(entry.action, before, after, at)
    elif kind is Member:
        yield _of_member(before, after, at)
    elif kind is Namespace:
        yield from metadefs.told(entry.action, before, after, at)


def _of_image(action: str, before: Image | None, after: Image | None, at: int) -> Iterator[Told]:
    image = after or before
    if image is None:
        return
    event_type = action if action in _OWN_EVENTS else "image.update"
    gone = event_type == "image.delete"
    yield event_type, image.id, image_payload(image, deleted_at=at if gone else None)
    active = image.status is Status.ACTIVE and not gone
    # Source: Glance tells of it when data has come, not when a deactivated image is given back.
    if active and (before is None or before.status not in (Status.ACTIVE, Status.DEACTIVATED, Status.PENDING_DELETE)):
        yield "image.activate", image.id, image_payload(image)


def _of_member(before: Member | None, after: Member | None, at: int) -> Told:
    if after is None:
        if before is None:
            raise ValueError("neither before nor after")
        return "image.member.delete", before.image_id, member_payload(before, deleted_at=at)
    event_type = "image.member.create" if before is None else "image.member.update"
    return event_type, after.image_id, member_payload(after)
