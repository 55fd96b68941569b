"""What was done, by whom, to which image: told to all that want to know.

A unit of work opens an entry, lets it know what moved, and keeps the events that its listeners want to send::

    with self._journal.entry(caller, "image.update", image_id) as entry:
        …
        events = entry.moved(before, after)

A listener hears twice of an entry: inside the transaction that keeps it, where it returns what others must be told (an
event that is neither lost nor told of what did not happen), and when it is over, done or refused (a record of it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from headwater.activity.notifications.event import Event
from headwater.identity.caller import Caller


class Entry(AbstractContextManager["Entry"]):
    """One thing that somebody does. Its fields fill up as it goes on."""

    def __init__(self, listeners: Sequence[Listener], caller: Caller | None, action: str, image_id: str | None) -> None:
        self.caller = caller  # None: Headwater itself
        self.action = action  # image.create, image.update, …: the names of Glance's notifications
        self.image_id = image_id
        # What is kept (an Image, a Member): as it was, None when it is new, and as it is, None when it is no more.
        # Both stay None where nothing is changed.
        self.before: Any = None
        self.after: Any = None
        self.image: Any = None  # the Image that it is about, as the caller found it
        self.namespace: str | None = None  # of metadata definitions, where it is about those
        self.named: dict[str, Any] = {}  # what else it is about, by the names that records have for that
        self._listeners = listeners

    def moved(self, before: Any, after: Any) -> list[Event]:
        """Note what is kept, and return what others must be told of it; again when its transaction is run again."""
        self.before, self.after = before, after
        return [event for listener in self._listeners for event in listener.moved(self)]

    def end(self, error: BaseException | None) -> None:
        """Say that it is over; ``error`` says why it failed."""
        for listener in self._listeners:
            listener.ended(self, error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.end(error)


class Listener(Protocol):
    """Wants to know what was done; called by many threads."""

    def moved(self, entry: Entry) -> Iterable[Event]:
        """Return what others must be told; called inside the entry's transaction, once more when that is run again."""

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        """Hear that an entry is over; ``error`` says why it failed. Nothing may be raised here."""


class Journal:
    """Tells all listeners; safe to use from several threads."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)

    def entry(self, caller: Caller | None, action: str, image_id: str | None = None) -> Entry:
        """Begin an entry, to be used in a ``with`` statement.

        Args:
            caller: Who does it; ``None``: Headwater itself.
            action: What is done: ``image.create``, ``image.update``, ….
        """
        return Entry(self._listeners, caller, action, image_id)
