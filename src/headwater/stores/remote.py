"""What stores on a service across the network share: the mark that is an object there, what it proves, and ranges.

The mark is believed for a few seconds once it was seen; but "not found", "deleted" and "stored" are said only after it
was seen anew.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Final, TypeVar

from headwater.errors import SettingsError
from headwater.stores.store import (
    IDENTITY,
    ForeignUrl,
    ObjectNotFound,
    Stored,
    StoreFull,
    StoreRefusesWrites,
    StoreUnavailable,
    checked_key,
    is_key,
)

T = TypeVar("T")

# Neither is a key, so no list shows them.
MARK: Final = ".headwater-store-id"
PROBE: Final = ".headwater-probe"

MARK_BYTES: Final = 64  # as much is read of what lies under its name
SETTLES_S: Final = 1.0  # longer than a service of many servers takes to decide between two that put the mark at once

_BELIEVED_S = 5.0


class KeptMark:
    """The mark of one store; safe to use from several threads."""

    def __init__(
        self, store: str, place: str, read: Callable[[], bytes], *, absent: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            store: The name of the store.
            place: What holds it, such as "the bucket images".
            read: Returns the first ``MARK_BYTES`` of the object, or raises ``ObjectNotFound``.
            absent: Raises when not only the mark is missing, where ``read`` does not tell.
        """
        self._store, self._place, self._read, self._absent = store, place, read, absent
        self._believed_until = 0.0
        self.expected: str | None = None

    def expect(self, identity: str) -> None:
        """From now on require this mark."""
        self.expected, self._believed_until = identity, 0.0

    def found(self) -> str:
        """Return the mark that is there.

        Raises:
            ObjectNotFound: There is none.
            StoreUnavailable: Something else lies in its place, or the service does not work.
        """
        text = self._read().decode("ascii", "replace").strip()
        if not IDENTITY.fullmatch(text):
            raise StoreUnavailable(self._store, f"what {self._place} has as {MARK} is none")
        return text

    def require(self, *, anew: bool = False) -> None:
        """Raise ``StoreUnavailable`` unless this is the store that is expected, if any is.

        Args:
            anew: Look for the mark even if it was seen just now.
        """
        if self.expected is None or (not anew and time.monotonic() < self._believed_until):
            return
        try:
            found = self.found()
        except ObjectNotFound as error:
            self._absent()
            raise StoreUnavailable(self._store, f"{self._place} has no {MARK}") from error
        if found != self.expected:
            raise StoreUnavailable(self._store, f"{self._place} has the {MARK} of another store")
        self._believed_until = time.monotonic() + _BELIEVED_S


class AnotherIsThere(Exception):
    """What was put under the condition that nothing is there met another object."""


class PastTheEnd(Exception):
    """A range begins where the object has no more bytes."""


class RemoteStore(ABC):
    """A store whose mark is an object among the others; what is not found there is not found in this store alone."""

    refused: ClassVar[type[StoreUnavailable]]  # raised where a setting has to change
    nowhere: ClassVar[type[StoreUnavailable]]  # raised where nobody has made what holds the objects

    def __init__(self, name: str, mark: KeptMark) -> None:
        self.name = name
        self._mark = mark

    def identity(self) -> str | None:
        try:
            return self._mark.found()
        except (ObjectNotFound, self.nowhere):
            return None

    def mark(self, identity: str) -> str:
        try:
            return self.identity() or self._marked(identity)
        except (self.refused, StoreRefusesWrites) as error:
            raise SettingsError(f"section [stores.{self.name}]: {error.reason}") from error

    def expect(self, identity: str) -> None:
        self._mark.expect(identity)

    def path(self, key: str) -> None:
        self.stat(key)

    def key_of(self, url: str) -> str:
        """Return the key for which ``url_of``, whose URLs end with it, gives this URL."""
        above = self.url_of("k").removesuffix("k")
        key = url.removeprefix(above)
        if not url.startswith(above) or not is_key(key):
            raise ForeignUrl(self.name, url)
        return key

    def ping(self) -> None:
        self._mark.require(anew=True)
        try:
            self._put(PROBE, bytes(4096))
            self._remove(PROBE)
        except StoreFull as error:
            raise StoreRefusesWrites(self.name, is_full=True) from error

    @abstractmethod
    def stat(self, key: str) -> Stored:
        """Return what is stored under ``key``."""

    @abstractmethod
    def url_of(self, key: str) -> str:
        """Return the URL of an object, which ends with its key."""

    @abstractmethod
    def _marked(self, identity: str) -> str:
        """Mark what has no mark, and return its mark: of several at once the same one for all."""

    @abstractmethod
    def _put(self, name: str, body: bytes) -> None:
        """Make ``body`` an object, at once."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Remove one object; nothing there is fine."""

    def _found(self, key: str, ask: Callable[[], T]) -> T:
        """Return what ``ask`` says of an object; what is not found is not found in this store."""
        checked_key(key)
        self._mark.require()
        try:
            return ask()
        except ObjectNotFound:
            self._mark.require(anew=True)
            raise
        except self.nowhere as error:
            if self._mark.expected is not None:
                raise
            raise ObjectNotFound(self.name, key) from error

    @contextlib.contextmanager
    def _nothing_where_nothing_is(self) -> Iterator[None]:
        """Take what nobody has made as empty, until it is said which store is expected."""
        try:
            yield
        except self.nowhere:
            if self._mark.expected is not None:
                raise


def range_header(start: int, length: int | None) -> dict[str, str]:
    """Return the header that asks for a part of an object, which is not empty; none for all of it."""
    if not start and length is None:
        return {}
    return {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}


def sentence(said: object) -> str:
    """Return what somebody else said, in one line."""
    return " ".join(str(said).split())[:300]
