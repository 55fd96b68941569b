"""What callers may do to the list of an image's locations: pure rules.

Whoever adds a location says what the image's data is, so the rules keep the data of an image what it was: a
second location has as many bytes and the same hashes, a list that holds something is never replaced by another
one, and the last location stays, so that no image with data ever waits for other data.
Source: Glance 33 as it answers to a patch of ``/locations``; OSSA-2016-006.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headwater.errors import Conflict, Forbidden, Invalid, NotFound
from headwater.images.attributes import Operation, QuotaExceeded
from headwater.images.model import Held, Image, ImageLocation, Location, Status


class InvalidLocation(Invalid):
    """Not a location that an image could have. The message names no user, password or query of a URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Invalid location: {reason}")


class LocationsFixed(Conflict):
    """Locations change only while an image has data, or waits for it."""

    def __init__(self, op: str, status: Status) -> None:
        super().__init__(f"It's not allowed to {op} locations if image status is {status.value}.")
        self.status = status


class HashConflict(Conflict):
    """The data that is said to be at a location is not the image's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"validation_data: {name} is already set with a different value")
        self.name = name


class LastLocation(Forbidden):
    """An image that has data keeps it."""

    def __init__(self) -> None:
        super().__init__("Cannot remove last location in the image.")


class OnlyCopy(Forbidden):
    """An image that has data keeps one copy. Source: Glance answers 403, whichever store is named."""

    def __init__(self, image_id: str) -> None:
        super().__init__(
            f"Cannot delete image data from the only store containing it (image {image_id}). "
            "Consider deleting the image instead."
        )
        self.image_id = image_id


class NotInStore(NotFound):
    """The image has no copy there."""

    def __init__(self, image_id: str, store: str) -> None:
        super().__init__(f"Image {image_id} is not stored in store {store}.")
        self.image_id, self.store = image_id, store


def without_store(image: Image, held: Held, store: str) -> Held:
    """Return where the image lies when the store holds it no more.

    Raises:
        LocationsFixed, OnlyCopy, NotInStore: As their names say.
    """
    if image.status is not Status.ACTIVE:
        raise LocationsFixed("remove", image.status)
    left = tuple(each for each in held if each.at.store != store)
    if len(held) < 2 or not left:
        raise OnlyCopy(image.id)
    if len(left) == len(held):
        raise NotInStore(image.id, store)
    return left


@dataclass(frozen=True, slots=True)
class Validation:
    """What the data's hashes are said to be."""

    os_hash_algo: str
    os_hash_value: str
    checksum: str | None = None  # MD5


@dataclass(frozen=True, slots=True)
class Given:
    """One location as a caller gives it."""

    url: str = field(repr=False)
    metadata: Mapping[str, Any]
    validation: Validation | None


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a URL."""

    at: Location
    size: int


Urls = Callable[[Location], str | None]  # the URL under which a location is known
Look = Callable[[str], Found]  # what is at a URL that is not yet the image's; raises where none may be taken


def given(raw: Mapping[str, Any], algorithm: str, image: Image) -> Given:
    """Read one location that has passed the schema.

    Args:
        algorithm: The one by which the images of this deployment are hashed.
        image: What gets the location.

    Raises:
        InvalidLocation: Its validation data is none.
        HashConflict: It names another algorithm than that by which the image is hashed.
    """
    # The store is what Headwater says of a location, and comes back from those who read it before.
    metadata = {name: value for name, value in raw["metadata"].items() if name != "store"}
    said = raw.get("validation_data")
    return Given(raw["url"], metadata, None if said is None else _validation(said, algorithm, image.os_hash_algo))


def _validation(said: Mapping[str, str], algorithm: str, of_image: str | None) -> Validation:
    # Source: tempest; what contradicts the image is a conflict, whether or not it could be the hash of any data.
    if of_image is not None and said["os_hash_algo"] != of_image:
        raise HashConflict("os_hash_algo")
    if said["os_hash_algo"] != algorithm:
        raise InvalidLocation(f"os_hash_algo must be {algorithm}, not {said['os_hash_algo'][:40]!r}")
    return checked(Validation(algorithm, said["os_hash_value"].lower(), said.get("checksum", "").lower() or None))


def checked(validation: Validation) -> Validation:
    """Return ``validation`` if its values are such as its algorithms give.

    Raises:
        InvalidLocation: One of them is not.
    """
    for algorithm, name, value in (
        (validation.os_hash_algo, "os_hash_value", validation.os_hash_value),
        ("md5", "checksum", validation.checksum),
    ):
        length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
        if value is not None and not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
            raise InvalidLocation(f"{name} of {algorithm} has {length} hexadecimal digits")
    return validation


class LocationRules:
    """The rules of one deployment."""

    def __init__(self, algorithm: str, quota: int, urls: Urls) -> None:
        self._algorithm, self._quota, self._urls = algorithm, quota, urls

    def patched(self, image: Image, held: Held, operation: Operation, look: Look) -> tuple[Image, Held]:
        """Carry out one operation of a patch and return the image and its locations after it.

        Raises:
            LocationsFixed, LastLocation, HashConflict, InvalidLocation, QuotaExceeded: As their names say.
        """
        may = (Status.ACTIVE,) if operation.op == "remove" else (Status.ACTIVE, Status.QUEUED)
        if image.status not in may:
            raise LocationsFixed(operation.op, image.status)
        match operation.op:
            case "remove":
                position = _position(operation, len(held) - 1)
                if len(held) == 1:
                    raise LastLocation
                return image, held[:position] + held[position + 1 :]
            case "add":
                position = _position(operation, len(held))
                return self._added(image, held, given(operation.value, self._algorithm, image), position, look)
            case _:
                return self._replaced(
                    image, held, [given(each, self._algorithm, image) for each in operation.value], look
                )

    def _replaced(self, image: Image, held: Held, wanted: Sequence[Given], look: Look) -> tuple[Image, Held]:
        if not held:
            for each in wanted:
                image, held = self._added(image, held, each, len(held), look)
            return image, held
        if not wanted:
            raise LastLocation
        known = {self._urls(each.at): each for each in held}
        if len(wanted) != len(held) or {each.url for each in wanted} != set(known):
            raise InvalidLocation("locations that an image has are not replaced by others: add and remove single ones")
        for each in wanted:
            image = _validated(image, each.validation)
        return image, tuple(replace(known[each.url], metadata=each.metadata) for each in wanted)

    def _added(self, image: Image, held: Held, new: Given, position: int, look: Look) -> tuple[Image, Held]:
        if any(self._urls(each.at) == new.url for each in held):
            raise InvalidLocation("the image has a location with this URL already")
        if -1 < self._quota < len(held) + 1:
            raise QuotaExceeded("locations", len(held) + 1, self._quota)
        image = _validated(image, new.validation)
        found = look(new.url)
        if image.status is Status.QUEUED:
            image = replace(image.moved_to(Status.ACTIVE), size=found.size)
        elif image.size != found.size:
            raise InvalidLocation(f"it holds {found.size} bytes, and the image has {image.size}")
        return image, (*held[:position], ImageLocation(at=found.at, metadata=new.metadata), *held[position:])


def _position(operation: Operation, last: int) -> int:
    """Return the place that an operation names, ``last`` at most."""
    if operation.position is None or not re.fullmatch(r"-|[0-9]{1,9}", operation.position) or last < 0:
        verb = "adding" if operation.op == "add" else "removing"
        raise InvalidLocation(f"Invalid position for {verb} a location.")
    return last if operation.position == "-" else min(int(operation.position), last)


def _validated(image: Image, validation: Validation | None) -> Image:
    """Return the image with the hashes that its data is said to have.

    Raises:
        HashConflict: It has others.
    """
    if validation is None:
        return image
    said: dict[str, Any] = {
        "checksum": validation.checksum,
        "os_hash_algo": validation.os_hash_algo,
        "os_hash_value": validation.os_hash_value,
    }
    for name, value in said.items():
        if value is not None and getattr(image, name) not in (None, value):
            raise HashConflict(name)
    return replace(image, **{name: value for name, value in said.items() if value is not None})
