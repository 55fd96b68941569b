"""What was done, by whom, to which image: told to all that want to know.

A use case opens an entry, and lets it hear of what is kept::

    with self._journal.entry(caller, "image.update", image_id) as entry:
        …
        self._catalogue.change(image_id, change, entry.keep)

A listener hears twice of a deed: inside the transaction that keeps it, where it may keep something itself (a
notification that must not be lost), and when it is over, done or refused (a record of it).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from sqlalchemy import Connection

from headwater.identity.caller import Caller


class Deed(AbstractContextManager["Deed"]):
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
        self._listeners = listeners

    def keep(self, connection: Connection, before: Any, after: Any) -> None:
        """Hear of what is kept; see ``rows.Keep``."""
        self.before, self.after = before, after
        for listener in self._listeners:
            listener.kept(connection, self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.ended(self, error)


class Listener(Protocol):
    """Wants to know what was done; called by many threads."""

    def kept(self, connection: Connection, deed: Deed) -> None:
        """Hear of a deed inside its transaction; once more when that is run again."""

    def ended(self, deed: Deed, error: BaseException | None) -> None:
        """Hear that a deed is over; ``error`` says why it failed. Nothing may be raised here."""


class Journal:
    """Tells all listeners; safe to use from several threads."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)

    def entry(self, caller: Caller | None, action: str, image_id: str | None = None) -> Deed:
        """Begin a deed, to be used in a ``with`` statement.

        Args:
            caller: Who does it; ``None``: Headwater itself.
            action: What is done: ``image.create``, ``image.update``, ….
        """
        return Deed(self._listeners, caller, action, image_id)
