"""The unit of work: every change of the catalogue that a use case makes, from its first look to what is told of it.

A use case sees, judges and asks while no transaction is open, says what is to be written, and has it written at once::

    with self._changes.of(caller, "image.update", image_id, rule="modify_image") as change:
        …  # look at change.image, and ask whoever has to be asked
        return change.commit(images.changed(image_id, lambda image: …), tasks.entered(task))

``commit`` runs the steps in one transaction, all of them again when it lost against another. In it each image that is
locked is judged once more, as it may be another by now; what other servers said is remembered from outside (see
``asking.py``), so none is asked there. When all is written, the limits of its owner are kept, and every move is told to
the journal: what its listeners want to send is written in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from headwater.activity.journal import Entry, Journal
from headwater.activity.notifications.event import Event
from headwater.asking import remembering
from headwater.database.engine import Database
from headwater.identity.caller import Caller
from headwater.images.catalogue.transaction import Step, Transaction, written
from headwater.images.catalogue.usage import Used
from headwater.images.model import Image

T = TypeVar("T")


class Judge(Protocol):
    """What decides who may do what to an image: see ``access.Access``."""

    def visible(self, caller: Caller, image_id: str) -> Image:
        """Return the image if the caller sees it; raise ``ImageNotFound`` when it does not."""

    def require(self, rule: str, caller: Caller, image: Image, *, member_id: str | None = None) -> None:
        """Raise ``Forbidden`` when the caller may not do to the image what ``rule`` guards."""


class Room(Protocol):
    """What projects may use: see ``quotas.service.Allowance``."""

    def require_for(self, used: Used, before: Image | None, after: Image | None) -> None:
        """Raise when the owner of an image would use too much because of what became of it."""

    def require(self, used: Used, owner: str | None, *resources: str) -> None:
        """Raise when a project uses more of these than it may."""

    def excess(self, used: Used, owner: str | None, resource: str) -> int:
        """Return how much more of it the owner uses than it may; 0 or less when it may."""

    def refusal(self, owner: str | None, resource: str) -> Exception:
        """Return what tells that the owner would use more than it may."""


class Outbox(Protocol):
    """Where events wait for their delivery: see ``notifications.outbox.Postbox``."""

    def keep(self, connection: Connection, events: Sequence[Event]) -> None:
        """Keep them in the transaction of what they tell of."""


class Change:
    """What a caller does, told in one entry of the journal, and the one transaction that keeps it."""

    def __init__(self, changes: Changes, entry: Entry) -> None:
        self.entry = entry
        self._changes = changes
        self._entries = [entry]  # what is told at the end: one entry of each move that is called differently
        self._rules: list[tuple[str, str | None]] = []
        self._room: Room | None = None
        self._has_moved = False

    @property
    def image(self) -> Image:
        """The image as the caller found it."""
        found: Image = self.entry.image
        return found

    def require(self, rule: str, *, member_id: str | None = None) -> None:
        """Raise ``Forbidden`` when the caller may not do what ``rule`` guards to the image, now or when it is locked.

        Args:
            member_id: The project, of those that the image is shared with, that this is about.
        """
        self._rules.append((rule, member_id))
        self._judge(self.image)

    def read_limits(self) -> None:
        """Let the change be held to what projects may use, as that is now: who knows the limits may have to be asked.

        Raises:
            Unavailable: Nobody knows.
        """
        self._room = self._changes.room()

    def commit(self, step: Step[T], *more: Step[Any]) -> T:
        """Run the steps in one transaction, in their order, and return what the first one returns.

        Raises:
            ImageNotFound, Forbidden: The image is gone by now, or not the caller's to change (so).
            ProjectOverLimit: Its owner would use more than it may, if ``read_limits`` was called.
            CatalogueBusy, Unavailable: Others change the same, or the database does not work.
        """

        def work(connection: Connection) -> T:
            transaction = Transaction(connection, self._judge)
            result = step(transaction)
            for each in more:
                each(transaction)
            if self._room is not None:
                _keep_limits(transaction, self._room)
            self._tell(transaction)
            return result

        return written(self._changes.database, work)

    def end(self, error: BaseException | None, *, if_moved: bool) -> None:
        """Tell all listeners that it is over; see ``Changes.told``."""
        if if_moved and error is None and not self._has_moved:
            return
        for entry in self._entries:
            entry.end(error)

    def _judge(self, image: Image) -> None:
        caller = self.entry.caller
        for rule, member_id in self._rules:
            assert caller is not None
            self._changes.judge.require(rule, caller, image, member_id=member_id)

    def _tell(self, transaction: Transaction) -> None:
        events: list[Event] = []
        for number, move in enumerate(transaction.moves):
            if number == len(self._entries):
                self._entries.append(
                    self._changes.journal.entry(self.entry.caller, self.entry.action, self.entry.image_id)
                )
            entry = self._entries[number]
            entry.action = move.action or entry.action
            events += entry.moved(move.before, move.after)
        del self._entries[max(1, len(transaction.moves)) :]  # of a run before this one
        self._has_moved = bool(transaction.moves)
        if events and self._changes.outbox is not None:
            self._changes.outbox.keep(transaction.connection, events)


class Changes:
    """All changes of one database; safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        judge: Judge,
        *,
        journal: Journal | None = None,
        outbox: Outbox | None = None,
        room: Callable[[], Room | None] = lambda: None,
    ) -> None:
        """Take what changes go through.

        Args:
            outbox: Keeps what listeners of the journal want to send; ``None``: nothing is sent.
            room: Returns what projects may use now; it may ask a server.
        """
        self.database = database
        self.judge = judge
        self.journal = journal or Journal()
        self.outbox = outbox
        self.room = room

    @contextmanager
    def of(
        self,
        caller: Caller,
        action: str,
        image_id: str,
        *,
        rule: str | None = None,
        seen: Callable[[Caller, str], Image] | None = None,
        if_moved: bool = False,
    ) -> Iterator[Change]:
        """Begin a change of an image that the caller sees, to be told as ``action``.

        Args:
            rule: Guards what is done to the image: now, and when the image is locked.
            seen: Returns the image if the caller sees it; ``None``: as the rules of visibility say.
            if_moved: Tell nothing when it went well and nothing moved.

        Raises:
            ImageNotFound, Forbidden: It is not there for the caller, or not its to change (so).
        """
        with self.told(caller, action, image_id, if_moved=if_moved) as change:
            change.entry.image = (seen or self.judge.visible)(caller, image_id)
            if rule is not None:
                change.require(rule)
            yield change

    @contextmanager
    def told(
        self,
        caller: Caller | None,
        action: str,
        image_id: str | None = None,
        *,
        namespace: str | None = None,
        if_moved: bool = False,
    ) -> Iterator[Change]:
        """Begin a change that is judged by nobody, or by the use case itself, to be told as ``action``.

        Args:
            caller: Who does it; ``None``: Headwater itself.
            namespace: Of metadata definitions, where it is about those.
            if_moved: Tell nothing when it went well and nothing moved.
        """
        entry = self.journal.entry(caller, action, image_id)
        entry.namespace = namespace
        change = Change(self, entry)
        with remembering():
            try:
                yield change
            except BaseException as error:
                change.end(error, if_moved=if_moved)
                raise
            change.end(None, if_moved=if_moved)


def _keep_limits(transaction: Transaction, room: Room) -> None:
    used = Used(transaction.connection)
    for move in transaction.moves:
        if isinstance(move.after, Image):
            room.require_for(used, move.before, move.after)
    for owner, resource in transaction.grown:
        room.require(used, owner, resource)
