"""Events that wait for their delivery, in the catalogue.

An event is entered in the transaction of what it tells of, once for each receiver, and its row goes when the
receiver has it. Rows of one receiver are delivered in their order by one process at a time, which holds
the receiver's lease; how long the receiver is left alone after a failure stands there too, so that all
processes wait together. No pause ends later than the longest one from now: one that does was begun when a clock was
ahead, and is over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headwater.activity.notifications.event import Event
from headwater.clock import Clock
from headwater.database.engine import Database
from headwater.database.tables import notification_targets, notifications
from headwater.jobs import leases


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that one receiver does not have yet."""

    sequence: int
    event: Event
    attempts: int  # how often the receiver refused it
    created_at: int  # microseconds since 1970, UTC


class Outbox:
    """All events that wait; safe to use from several threads."""

    def __init__(self, database: Database, *, longest_pause_s: float = 300) -> None:
        self._database = database
        self._longest_pause = int(longest_pause_s + leases.ASTRAY_S) * 1_000_000

    def keep(self, connection: Connection, targets: Sequence[str], events: Sequence[Event], now: int) -> None:
        """Enter events for all these receivers, inside the transaction of what they tell of."""
        rows = [
            {
                "target": target,
                "document": msgspec.json.encode(event.to_dict()).decode(),
                "created_at": now,
                "due_at": now,
                "attempts": 0,
            }
            for event in events
            for target in targets
        ]
        if rows:
            connection.execute(insert(notifications), rows)

    def tell(self, targets: Sequence[str], events: Sequence[Event], now: int) -> None:
        """Enter events of what changed nothing in the catalogue."""
        self._database.write(lambda connection: self.keep(connection, targets, events, now))

    def waiting(self, target: str, now: int, limit: int) -> list[Waiting]:
        """Return what the receiver should have next, in order."""
        due_at = notifications.c.due_at
        is_due = or_(notifications.c.attempts == 0, due_at <= now, due_at > now + self._longest_pause)
        statement = (
            select(notifications)
            .where(notifications.c.target == target, is_due)
            .order_by(notifications.c.sequence)
            .limit(limit)
        )
        return [_waiting(row) for row in self._database.read(lambda connection: connection.execute(statement).all())]

    def overdue(
        self, before: int, limit: int, *, target: str | None = None, none_of: Collection[str] = ()
    ) -> list[tuple[str, Waiting]]:
        """Return what waits since before a time, with whom it is for: one receiver, or any that is ``none_of`` some."""
        statement = select(notifications).where(notifications.c.created_at < before)
        if target is not None:
            statement = statement.where(notifications.c.target == target)
        if none_of:
            statement = statement.where(notifications.c.target.not_in(none_of))
        statement = statement.order_by(notifications.c.sequence).limit(limit)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return [(row.target, _waiting(row)) for row in rows]

    def remove(self, sequences: Sequence[int]) -> None:
        """Forget events, delivered or given up."""
        if sequences:
            statement = delete(notifications).where(notifications.c.sequence.in_(sequences))
            self._database.write(lambda connection: connection.execute(statement))

    def postpone(self, waiting: Waiting, until: int) -> None:
        """Let the others of its receiver go before this event, until a time."""
        statement = update(notifications).where(notifications.c.sequence == waiting.sequence)
        statement = statement.values(due_at=until, attempts=waiting.attempts + 1)
        self._database.write(lambda connection: connection.execute(statement))

    def count(self, target: str) -> int:
        """Return how many events wait for the receiver."""
        statement = select(func.count()).where(notifications.c.target == target)
        return self._database.read(lambda connection: connection.scalar(statement)) or 0

    # --- Who delivers ----------------------------------------------------------------------------

    def lead(self, target: str, sender: str, now: int) -> bool:
        """Be the one who delivers to the receiver for ``leases.LEASE_S`` from now; return whether that is so.

        It is not while another process does, or while the receiver is left alone.
        """

        def work(connection: Connection) -> bool:
            this = notification_targets.c.target == target
            row = connection.execute(select(notification_targets).where(this).with_for_update()).first()
            values = {"sender": sender, "expires_at": now + leases.LEASE_S * 1_000_000}
            if row is None:
                new = {**values, "target": target, "rests_until": 0, "failures": 0}
                connection.execute(insert(notification_targets), new)
                return True
            others = row.sender is not None and row.sender != sender and now < row.expires_at <= leases.latest(now)
            rests = now < row.rests_until <= now + self._longest_pause
            if rests or (others and not leases.is_dead(row.sender)):
                return False
            connection.execute(update(notification_targets).where(this).values(**values))
            return True

        try:
            return self._database.write(work)
        except IntegrityError:  # two at once entered the first row of this receiver
            return False

    def rest(self, target: str, sender: str, until: int, failures: int) -> None:
        """Leave the receiver alone until a time."""
        self._change(target, sender, rests_until=until, failures=failures)

    def failures(self, target: str) -> int:
        """Return how often delivery has failed since it last worked."""
        statement = select(notification_targets.c.failures).where(notification_targets.c.target == target)
        return self._database.read(lambda connection: connection.scalar(statement)) or 0

    def release(self, target: str, sender: str) -> None:
        """Let another process deliver at once."""
        self._change(target, sender, sender=None)

    def _change(self, target: str, own: str, **values: Any) -> None:
        mine = (notification_targets.c.target == target) & (notification_targets.c.sender == own)
        statement = update(notification_targets).where(mine).values(**values)
        self._database.write(lambda connection: connection.execute(statement))


class Postbox:
    """The outbox as transactions see it: they say what, and not for whom."""

    def __init__(self, outbox: Outbox, targets: Sequence[str], clock: Clock) -> None:
        self._outbox, self._targets, self._clock = outbox, tuple(targets), clock

    def keep(self, connection: Connection, events: Sequence[Event]) -> None:
        """Keep events in the transaction of what they tell of; they are delivered once it is committed."""
        self._outbox.keep(connection, self._targets, events, self._clock())


def _waiting(row: Any) -> Waiting:
    return Waiting(row.sequence, Event.from_dict(msgspec.json.decode(row.document)), row.attempts, row.created_at)
