"""Where the bytes of an import come from, read from the beginning to the end, in pieces."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from headwater.errors import Lost
from headwater.fetching.fetcher import Fetched, Fetcher, RemoteChanged, RemoteFailed
from headwater.images.model import Location
from headwater.stores.store import ObjectNotFound, ObjectStore, StoreUnavailable

_log = logging.getLogger(__name__)
_RESUME_PAUSE_S = 1.0


class DataGone(Lost):
    """The bytes that were kept are in no store any more."""

    def __init__(self, location: Location) -> None:
        super().__init__(f"the data is missing from store {location.store}")
        self.location = location


class Source(Protocol):
    """What gives the bytes; to be opened, read once, and closed."""

    @property
    def size(self) -> int | None:
        """How many bytes it gives; ``None`` until ``open``, or when nobody says."""

    @property
    def validator(self) -> str | None:
        """What tells its bytes from others, so that a later run may ``go_on``; ``None`` until ``open``, or always."""

    def go_on(self, start: int, size: int | None, validator: str) -> bool:
        """Return whether it gives still what a run before had of it; then it is read from ``start`` on.

        Args:
            size: As the run before knew it.
        """

    def open(self) -> None:
        """Make ready to be read."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Let go of what it holds; nothing happens a second time."""


class KeptSource:
    """Bytes that lie in stores: where one fails, the next goes on at that byte."""

    validator: str | None = None  # they are near, and read anew

    def __init__(self, stores: Mapping[str, ObjectStore], places: Sequence[Location], size: int) -> None:
        self.size: int | None = size
        self._stores, self._places = stores, places

    def go_on(self, start: int, size: int | None, validator: str) -> bool:
        return False

    def open(self) -> None:
        if not self._places:
            raise DataGone(Location("(none)", "(none)"))

    def __iter__(self) -> Iterator[bytes]:
        at, failed = 0, None
        for place in self._places:
            try:
                for piece in self._pieces(place, at):
                    at += len(piece)
                    yield piece
                return
            except (DataGone, StoreUnavailable) as error:
                _log.warning("a location does not give its data", extra={"error": str(error)})
                if failed is None or isinstance(error, StoreUnavailable):  # which may pass
                    failed = error
        assert failed is not None
        raise failed

    def _pieces(self, place: Location, start: int) -> Iterator[bytes]:
        store = self._stores.get(place.store)
        if store is None:
            raise StoreUnavailable(place.store, "section [stores] has none of this name")
        try:
            yield from store.read(place.object_key, start)
        except ObjectNotFound as error:
            raise DataGone(place) from error

    def close(self) -> None: ...


class WebSource:
    """What a URL gives. A connection that breaks is followed by another one, which goes on at that byte."""

    def __init__(
        self,
        fetcher: Fetcher,
        url: str,
        *,
        retries: int,
        look: Callable[[], None] = lambda: None,
        headers: Mapping[str, str] = MappingProxyType({}),
        said: str | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            retries: How many connections in a row may break that gave nothing.
            look: Called about once a second while the server is waited for; what it raises ends the reading.
            headers: What the server of the URL is told besides, and no other one.
            said: The hash that the whole is held to, so that it may be put together of parts that no tag says to be
                of the same data.
        """
        self.size: int | None = None
        self.validator: str | None = None
        self._fetcher, self._url, self._retries, self._look, self._pause = fetcher, url, retries, look, pause
        self._headers, self._said = headers, said
        self._tag: str | None = None
        self._start = 0
        self._fetched: Fetched | None = None

    def go_on(self, start: int, size: int | None, validator: str) -> bool:
        if self._said is None and not self._still_gives(start, size, validator):
            return False
        if self._said not in (None, validator):
            return False
        self._start, self.size, self.validator = start, size, validator
        self._tag = validator if self._said is None else None
        return True

    def _still_gives(self, start: int, size: int | None, tag: str) -> bool:
        """Ask for one byte: how long it takes until the others are wanted, nobody knows."""
        try:
            with self._fetched_from(start, tag, 1) as fetched:
                return size in (None, fetched.size) and len(b"".join(fetched)) == 1
        except RemoteFailed as error:
            _log.info("a download begins anew", extra={"at": start, "reason": str(error)})
            return False

    def _fetched_from(self, start: int, tag: str | None, length: int | None = None) -> Fetched:
        return self._fetcher.open(self._url, start, length, if_range=tag, look=self._look, headers=self._headers)

    def open(self) -> None:
        if not self._start:
            self._fetched = self._fetched_from(0, None)
            self.size, self._tag = self._fetched.size, self._fetched.validator
            self.validator = self._said or self._tag

    def __iter__(self) -> Iterator[bytes]:
        if self._fetched is None:
            self._fetched = self._fetched_from(self._start, self._tag)
        fetched, at, broken = self._fetched, self._start, 0
        validator = self._tag
        while True:
            try:
                for piece in fetched:
                    at, broken = at + len(piece), 0
                    yield piece
                return
            except RemoteFailed as error:
                fetched.close()
                # Without a validator nobody knows whether the rest is of the same data.
                if not at or (validator is None and self._said is None):
                    raise
                fetched, broken = self._resumed(at, validator, broken, error)

    def _resumed(self, at: int, validator: str | None, broken: int, error: RemoteFailed) -> tuple[Fetched, int]:
        """Return what follows the first ``at`` bytes, and how many connections in a row have given nothing."""
        while True:
            broken += 1
            if broken > self._retries or not error.may_pass:
                raise error
            _log.info("a download broke off and goes on", extra={"at": at, "reason": str(error)})
            for _ in range(broken):
                self._look()
                self._pause(_RESUME_PAUSE_S)
            try:
                self._fetched = fetched = self._fetched_from(at, validator)
            except RemoteChanged:
                raise
            except RemoteFailed as again:
                error = again
            else:
                return fetched, broken

    def close(self) -> None:
        if self._fetched is not None:
            self._fetched.close()
            self._fetched = None
