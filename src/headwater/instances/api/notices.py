"""Tell others what happens to instances: the journal's entries as events.

What a guest is told (user data, keys, facts) is no part of them: it may hold passwords.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from headwater.activity.journal import Entry
from headwater.activity.notifications.event import Event
from headwater.clock import Clock, now, timestamp
from headwater.instances.model import Instance


class Receivers(Protocol):
    """Who is told; see ``notifications.notifier.Notifications``."""

    @property
    def publisher(self) -> str:
        """The name under which this process tells."""

    def tells(self, event_type: str) -> bool:
        """Return whether anybody is told of events of this type."""


class InstanceNotices:
    """A listener of the journal; safe to use from several threads."""

    def __init__(
        self, receivers: Receivers, *, clock: Clock = now, new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    ) -> None:
        self._receivers, self._clock, self._new_id = receivers, clock, new_id

    def moved(self, entry: Entry) -> Iterable[Event]:
        """Return the event of an entry, if somebody is told of it."""
        instance = entry.before if entry.after is None else entry.after
        if not isinstance(instance, Instance) or not self._receivers.tells(entry.action):
            return ()
        at, caller = self._clock(), entry.caller
        event = Event(
            id=self._new_id(),
            type=entry.action,
            subject=instance.id,
            payload=payload(instance, deleted_at=at if entry.after is None else None),
            at=at,
            publisher_id=self._receivers.publisher,
            request_id=caller.request_id if caller else None,
            user_id=caller.user_id if caller else None,
            project_id=caller.project_id if caller else None,
        )
        return [event]

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        """Nothing more is told: what failed did not happen."""


def payload(instance: Instance, *, deleted_at: int | None) -> dict[str, Any]:
    """Return the payload of ``instance.*``.

    Args:
        deleted_at: When the instance went, in microseconds since 1970; ``None`` while it is there.
    """
    return {
        "id": instance.id,
        "name": instance.name,
        "hostname": instance.hostname,
        "project_id": instance.project_id,
        "addresses": list(instance.addresses),
        "image_id": instance.image_id,
        "image_name": instance.image_name,
        "instance_type": instance.instance_type,
        "availability_zone": instance.availability_zone,
        "revision": instance.revision,
        "created_at": timestamp(instance.created_at),
        "updated_at": timestamp(instance.updated_at),
        "deleted": deleted_at is not None,
        "deleted_at": None if deleted_at is None else timestamp(deleted_at),
    }
