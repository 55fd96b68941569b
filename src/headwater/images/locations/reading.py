"""Read an image's data from the places where it lies: where one fails, the next goes on at the same byte.

What is read whole is hashed on its way, and its last piece is given only when the hash is the image's: whoever gets all
of it has got the right bytes. What is found wrong only then cannot be taken back, so the answer that carries it breaks
off, and the place is told of, so that the next reader begins elsewhere.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headwater.errors import Forbidden, HeadwaterError, Lost, Unavailable
from headwater.fetching.url_filter import redacted
from headwater.images.model import Image, Location
from headwater.stores.store import ObjectNotFound, ObjectStore, StoreUnavailable

_log = logging.getLogger(__name__)

# What a disk is shows in its first MiB, or at its end only.
_BEGINNING = 1 << 20  # bytes


class DataMissing(Lost):
    """The catalogue says where the data is, the store is there, and the data is not."""

    def __init__(self, image_id: str, location: Location) -> None:
        super().__init__(
            f"the data of image {image_id} is missing from store {location.store}: "
            f"restore the object {location.object_key}, or delete the image and upload it again"
        )
        self.image_id, self.location = image_id, location

    @property
    def told(self) -> str:
        return (
            f"The data of image {self.image_id} is lost. Ask whoever runs this service to restore it, or delete the "
            "image and make it again."
        )


class DataDamaged(Lost):
    """The store has an object, and it is not the image's data."""

    def __init__(self, image_id: str, location: Location, reason: str) -> None:
        what = redacted(location.object_key) if location.is_external else f"the object {location.object_key}"
        super().__init__(f"the data of image {image_id} is damaged in store {location.store}: {what} {reason}")
        self.image_id, self.location = image_id, location

    @property
    def told(self) -> str:
        return (
            f"The data of image {self.image_id} is damaged. Ask whoever runs this service to restore it, or delete the "
            "image and make it again."
        )


class RemoteDataMissing(Unavailable):
    """The web server of others that has the data says that it has not."""

    def __init__(self, image_id: str, location: Location) -> None:
        super().__init__(f"the data of image {image_id} is not at {redacted(location.object_key)} at the moment")
        self.image_id = image_id


class DataRefused(Forbidden):
    """What a web server of others has for an image is nothing that an image may be."""

    def __init__(self, image_id: str, location: Location, reason: str) -> None:
        super().__init__(f"the data of image {image_id} at {redacted(location.object_key)} is refused: {reason}")
        self.image_id, self.location, self.reason = image_id, location, reason


class NotReadYet(Unavailable):
    """Parts of data are given once all of it was read and found right."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"the data of image {image_id} has to be read whole once before parts of it are given")
        self.image_id = image_id


class Check(Protocol):
    """What data that is read whole is held against, piece by piece."""

    def feed(self, piece: bytes) -> None:
        """Look at the next piece.

        Raises:
            DataDamaged, DataRefused: It is clear already that all is wrong.
        """

    def finish(self) -> None:
        """Return when all that was fed is the image's data.

        Raises:
            DataDamaged, DataRefused: It is not.
            Unavailable: Nobody can tell now.
        """


class HashCheck:
    """The hash of an image."""

    def __init__(self, image: Image, at: Location) -> None:
        """Begin; an image whose hash nobody knows passes."""
        self._image, self._at = image, at
        algorithm = image.os_hash_algo if image.os_hash_value else "md5" if image.checksum else None
        self._algorithm, self._expected = algorithm, image.os_hash_value or image.checksum
        self._hash = hashlib.new(algorithm, usedforsecurity=False) if algorithm else None

    def feed(self, piece: bytes) -> None:
        if self._hash is not None:
            self._hash.update(piece)

    def finish(self) -> None:
        if self._hash is not None and self._hash.hexdigest() != self._expected:
            raise DataDamaged(self._image.id, self._at, f"does not have the {self._algorithm} of the image")


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places where an image's data lies."""

    store: ObjectStore
    object_key: str
    path: Path | None = None  # the file that holds all of it, where there is one
    check: Callable[[], Check] | None = None  # begins a check of what is read from it whole
    gives_parts: bool = True  # if not, it has to be read whole first
    is_wrong: bool = False  # it was when somebody read it last, so it comes after all others
    found: Callable[[bool], None] = lambda _: None  # is told whether all that it gave was right

    @property
    def at(self) -> Location:
        return Location(self.store.name, self.object_key)


Report = Callable[[DataMissing | DataDamaged | DataRefused], None]  # is told of each place that lacks the right data


class Reading(Iterator[bytes]):
    """One part of an image's data, or all of it, as it comes. Used by one thread at a time."""

    def __init__(self, image: Image, places: Sequence[Place], wanted: range, report: Report) -> None:
        """Open the first place that gives its data, and read its first piece: what fails at once fails here.

        Raises:
            NotReadYet: A part is wanted, and no place gives any.
            DataMissing, DataDamaged, DataRefused: It is in no place, and all of them were asked.
            Unavailable: No place gives it now.
        """
        self._image, self._report = image, report
        self._at, self._end = wanted.start, wanted.stop
        self._is_whole = len(wanted) == image.size
        self._left = [place for place in places if self._is_whole or place.gives_parts]
        if not self._left:
            raise NotReadYet(image.id)
        self._failed: list[HeadwaterError] = []
        self._gave: list[Place] = []  # what was read so far came from these
        self._check: Check | None = None
        self._open_next()
        self._first = self._following()

    def __next__(self) -> bytes:
        piece, self._first = self._first or self._following(), b""
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Let go of what is read from."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()

    def _following(self) -> bytes:
        """Return the next piece; nothing at the end."""
        while self._at < self._end:
            try:
                piece = next(self._pieces, b"")[: self._end - self._at]
            except (StoreUnavailable, ObjectNotFound) as error:
                self._go_on(error)
                continue
            except _EndsEarly as early:
                self._go_on(self._short(early.size))
                continue
            if not piece:
                self._go_on(self._short(self._at))
            elif self._is_right(piece):
                self._at += len(piece)
                if self._place not in self._gave:
                    self._gave.append(self._place)
                return piece
        self.close()
        return b""

    def _short(self, size: int) -> DataDamaged:
        short = DataDamaged(self._image.id, self._place.at, f"ends at byte {size} of {self._image.size}")
        self._report(short)
        return short

    def _is_right(self, piece: bytes) -> bool:
        """Return whether to give this piece; if not, the next place is open.

        Raises:
            DataDamaged, DataRefused: All of the data is wrong, and some of it was given already.
        """
        if self._check is None:
            return True
        try:
            self._check.feed(piece)
            if self._at + len(piece) == self._end:
                self._check.finish()
                if self._gave in ([], [self._place]):
                    self._place.found(True)
        except (DataDamaged, DataRefused) as error:
            # Of data that came from several places nobody knows which one is wrong.
            if self._gave in ([], [self._place]):
                self._place.found(False)
                self._report(error)
            if self._gave:
                self.close()
                raise
            self._go_on(error)
            return False
        return True

    def _go_on(self, error: StoreUnavailable | ObjectNotFound | DataDamaged | DataRefused) -> None:
        self.close()
        self._note(self._place, error)
        self._open_next()

    def _open_next(self) -> None:
        """Open the next place that gives its data, at the byte where the one before failed."""
        while self._left:
            self._place = place = self._left.pop(0)
            try:
                if self._is_whole and not self._gave:
                    self._check = place.check() if place.check is not None else None
                self._pieces = place.store.read(place.object_key, self._at, self._end - self._at)
                if place.at.is_external and self._at == 0:
                    self._pieces = _with_beginning(self._pieces, min(self._end, _BEGINNING))
            except (ObjectNotFound, Unavailable, DataRefused) as error:
                self._note(place, error)
            else:
                return
        raise hopeful(self._failed)

    def _note(self, place: Place, error: HeadwaterError) -> None:
        if isinstance(error, ObjectNotFound):
            self._failed.append(missing(self._image.id, place.at))
            self._failed[-1].__cause__ = error
            if isinstance(self._failed[-1], DataMissing):
                self._report(self._failed[-1])
        else:
            self._failed.append(error)
        more = {"image": self._image.id, "store": place.store.name, "byte": self._at, "error": str(self._failed[-1])}
        _log.warning("a location does not give its data", extra=more)


class _EndsEarly(Exception):
    """The beginning is not all there."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def _with_beginning(pieces: Iterator[bytes], least: int) -> Iterator[bytes]:
    """Yield the pieces, the first ``least`` bytes as one: what is wrong there is refused before any of it is given.

    Otherwise that would depend on how little of it comes at a time.

    Raises:
        _EndsEarly: There are not so many.
    """
    try:
        first = [next(pieces, b"")]
        size = len(first[0])
        while size < least:
            if not first[-1]:
                raise _EndsEarly(size)
            first.append(next(pieces, b""))
            size += len(first[-1])
        yield b"".join(first) if len(first) > 1 else first[0]
        first.clear()
        yield from pieces
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def missing(image_id: str, at: Location) -> DataMissing | RemoteDataMissing:
    """Return what to tell of a place that says that it has no such object."""
    return RemoteDataMissing(image_id, at) if at.is_external else DataMissing(image_id, at)


def hopeful(failed: Sequence[HeadwaterError]) -> HeadwaterError:
    """Return what to tell of several failures, the last: but data is not lost while one place may still have it."""
    return next((error for error in reversed(failed) if isinstance(error, Unavailable)), failed[-1])
