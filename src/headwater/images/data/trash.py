"""Deleted images whose data is still there, in the trash or for readers of feeds: given back, or let go of.

Who restores asks the stores first, and only a store that says so makes an image's data gone: one that does not answer
keeps no image from being restored, as the time runs on meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from headwater.clock import Clock, now
from headwater.errors import Conflict, HeadwaterError
from headwater.identity.caller import Caller
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.deletions.pending_deletes import (
    NotPending,
    PendingDelete,
    PendingDeleteRows,
    let_go,
    restored,
)
from headwater.images.model import Image
from headwater.stores.store import ObjectNotFound, ObjectStore

_AT_ONCE = 100

_log = logging.getLogger(__name__)


class DataGone(Conflict):
    """No store has the data of a deleted image any more."""

    def __init__(self, image_id: str, stores: list[str]) -> None:
        super().__init__(f"image {image_id} cannot be restored: its data is gone from {', '.join(stores)}")
        self.image_id, self.stores = image_id, stores


class Tally(Protocol):
    """Counts what can be restored, for the operator."""

    def pending(self, images: int, size: int, oldest_s: float) -> None:
        """Note how many deleted images can be restored, how many bytes they hold, and how long the oldest is there."""


@dataclass(frozen=True, slots=True)
class Restored:
    """An image that was given back."""

    image: Image
    gone: tuple[str, ...]  # stores that had a copy and have it no more
    unseen: tuple[str, ...]  # stores that could not be asked


class Trash:
    """The use cases; safe to use from several threads and processes."""

    def __init__(
        self,
        changes: Changes,
        pending: PendingDeleteRows,
        stores: Mapping[str, ObjectStore],
        *,
        used: Callable[[str], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
        clock: Clock = now,
    ) -> None:
        """Take what it works with.

        Args:
            used: Notes that an image was used: who restores one needs it, whatever rules of retention say.
            stopping: Says whether this process is about to end; ``scrub`` then makes way.
        """
        self._changes = changes
        self._pending = pending
        self._stores = stores
        self._used = used
        self._stopping = stopping
        self._clock = clock

    def list(self) -> Iterator[PendingDelete]:
        """Yield all that can be restored, first what goes first."""
        after: tuple[int, str] | None = None
        while page := self._pending.page(_AT_ONCE, after):
            yield from page
            after = (page[-1].deletion.scrub_at, page[-1].image.id)

    def find(self, image_id: str) -> PendingDelete:
        """Return one that can be restored, or raise ``NotPending``."""
        return self._pending.get(image_id)

    def restore(self, caller: Caller, image_id: str) -> Restored:
        """Make a deleted image what it was, and return it.

        Raises:
            NotPending: It is not deleted, or its data is let go of.
            DataGone: Its data is in none of its stores.
            ProjectOverLimit: Its owner uses more than it may.
        """
        gone, unseen = self._looked_for(self._pending.get(image_id))
        with self._changes.told(caller, "image.restore", image_id) as change:
            change.read_limits()
            image = change.commit(restored(image_id, self._clock()))
        self._used(image_id)
        _log.info("a deleted image is restored", extra={"image": image_id})
        return Restored(image, gone, unseen)

    def empty(self, caller: Caller, image_id: str) -> None:
        """Let the data of a deleted image go now.

        Raises:
            NotPending: It is not deleted, or its data is let go of.
        """
        self._let_go(caller, image_id)

    def scrub(self) -> int:
        """Let the data go of all whose time is over; return of how many."""
        count, after = 0, (0, "")
        while due := self._pending.due(self._clock(), _AT_ONCE, after):
            for _, image_id in due:
                if self._stopping():
                    return count
                try:
                    if self._pending.count_no_more(image_id, self._clock()):
                        continue  # its files are given by feeds for longer
                    self._let_go(None, image_id)
                except NotPending:
                    continue  # restored or let go of by others
                except HeadwaterError as error:  # tried again; what is behind it does not wait
                    facts = {"image": image_id, "error": str(error)}
                    _log.warning("the data of a deleted image stays for now", extra=facts)
                    continue
                count += 1
            after = due[-1]
        return count

    def count(self, tally: Tally) -> None:
        """Count what can be restored."""
        total = self._pending.total()
        oldest_s = 0 if total.oldest is None else max(0, self._clock() - total.oldest) / 1_000_000
        tally.pending(total.images, total.bytes, oldest_s)

    def _let_go(self, caller: Caller | None, image_id: str) -> None:
        with self._changes.told(caller, "image.scrub", image_id) as change:
            change.entry.image = change.commit(let_go(image_id, self._clock())).image
        _log.info("the data of a deleted image goes", extra={"image": image_id})

    def _looked_for(self, pending: PendingDelete) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return in which stores an image's data is gone, and which could not be asked.

        Raises:
            DataGone: It is in none of them.
        """
        gone, unseen = [], []
        for held in pending.held:
            store = self._stores.get(held.at.store)
            if store is None:
                unseen.append(held.at.store)
                continue
            try:
                store.stat(held.at.object_key)
            except ObjectNotFound:
                gone.append(held.at.store)
            except HeadwaterError as error:
                _log.warning("a store cannot be asked", extra={"store": held.at.store, "error": str(error)})
                unseen.append(held.at.store)
        if len(gone) == len(pending.held):
            raise DataGone(pending.image.id, gone)
        return tuple(gone), tuple(unseen)
