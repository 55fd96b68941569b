"""One transaction of the catalogue, as the steps of a change see it.

A step is what one file of this room writes, as a value: ``images.changed(image_id, …)`` does nothing yet, and a use
case hands it to ``changes.Change.commit`` with others. A step that moves something says so (``heard``), and there is no
way to write an image without a transaction that hears of it. A step runs again when the transaction is run again, so
it has no effect outside the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.images.model import Image

T = TypeVar("T")

_ATTEMPTS = 5


class CatalogueBusy(Unavailable):
    """Several changes met each other again and again."""

    def __init__(self) -> None:
        super().__init__("What this changes is being changed by others at this moment; try again")


class Move(NamedTuple):
    """What became of an image, a member or a namespace."""

    before: Any  # as it was; None: it is new
    after: Any  # as it is; None: it is no more
    action: str | None  # what it is called, where a change makes several moves that are called differently


@dataclass(slots=True)
class Transaction:
    """What steps write to, and what they tell."""

    connection: Connection
    judge: Callable[
        [Image], None
    ]  # raises when the image, which nobody else changes now, is not the caller's to change
    moves: list[Move] = field(default_factory=list)
    grown: list[tuple[str | None, str]] = field(default_factory=list)

    def heard(self, before: Any, after: Any, action: str | None = None) -> None:
        """Say that something moved."""
        self.moves.append(Move(before, after, action))

    def grew(self, owner: str | None, resource: str) -> None:
        """Say that a project uses more of a resource than its images' states tell."""
        self.grown.append((owner, resource))


Step = Callable[[Transaction], T]


def written(database: Database, work: Callable[[Connection], T]) -> T:
    """Run ``work`` in one transaction; again when another was faster to enter the same, which it then finds.

    Raises:
        CatalogueBusy: Another was faster each time.
        Unavailable: As ``Database.write`` says.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return database.write(work)
        except IntegrityError as error:
            if attempt == _ATTEMPTS:
                raise CatalogueBusy from error
    raise AssertionError("unreachable")
