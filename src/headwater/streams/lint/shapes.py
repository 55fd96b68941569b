"""Which keys a reader takes with which type, as data, and where a document has another.

Readers in Go and those with a schema decode whole files: one value of another type, also in what nobody wanted, and
nothing of the file is read. ``null`` counts as absent to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headwater.streams.lint.rules import Place

TEXT, NUMBER, FLAG, TEXTS, TEXT_MAP, OBJECTS, SIZE = (
    "a string",
    "a whole number",
    "true or false",
    "a list of strings",
    "an object whose values are strings",
    "a list of objects",
    "a whole number or its digits",
)
Shape = Mapping[str, str]
_NONE: Final[Shape] = {}
_LARGEST: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value of another type than a reader takes."""

    place: Place
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What one reader takes on each level of a products document."""

    top: Shape = field(default_factory=dict)
    product: Shape = field(default_factory=dict)
    version: Shape = field(default_factory=dict)
    item: Shape = field(default_factory=dict)

    def mismatches(self, document: object) -> Iterator[Mismatch]:
        """Yield where ``document`` has other types."""
        if not isinstance(document, dict):
            yield Mismatch((), "an object", kind(document))
            return
        yield from judged(document, self.top, ())
        for product, at in _children(document, "products", ()):
            if isinstance(product, Mismatch):
                yield product
                continue
            yield from judged(product, self.product, at)
            for version, in_product in _children(product, "versions", at):
                if isinstance(version, Mismatch):
                    yield version
                    continue
                yield from judged(version, self.version, in_product)
                for item, in_version in _children(version, "items", in_product):
                    if isinstance(item, Mismatch):
                        yield item
                    else:
                        yield from judged(item, self.item, in_version)


def index_mismatches(document: object, top: Shape, entry: Shape) -> Iterator[Mismatch]:
    """Yield where an index has other types than a reader takes."""
    if not isinstance(document, dict):
        yield Mismatch((), "an object", kind(document))
        return
    yield from judged(document, top, ())
    for found, at in _children(document, "index", ()):
        if isinstance(found, Mismatch):
            yield found
        else:
            yield from judged(found, entry, at)


def judged(value: Mapping[str, Any], shape: Shape, at: Place) -> Iterator[Mismatch]:
    """Yield the keys of one object that hold another type."""
    for key, found in value.items():
        expected = shape.get(key)
        if expected is None or found is None or (expected is TEXT and type(found) is str):
            continue
        yield from _judged_value(found, expected, (*at, key))


def _judged_value(found: Any, expected: str, at: Place) -> Iterator[Mismatch]:
    if expected == TEXTS and isinstance(found, list):
        yield from (Mismatch((*at, n), TEXT, kind(each)) for n, each in enumerate(found) if not _is_text(each))
    elif expected == OBJECTS and isinstance(found, list):
        yield from (
            Mismatch((*at, n), "an object", kind(each))
            for n, each in enumerate(found)
            if each is not None and not isinstance(each, dict)
        )
    elif expected == TEXT_MAP and isinstance(found, dict):
        yield from (Mismatch((*at, name), TEXT, kind(each)) for name, each in found.items() if not _is_text(each))
    elif not _fits(found, expected):
        yield Mismatch(at, expected, kind(found))


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _fits(found: Any, expected: str) -> bool:
    if expected == TEXT:
        return isinstance(found, str)
    if expected == FLAG:
        return isinstance(found, bool)
    if expected == SIZE and isinstance(found, str):
        return found.isascii() and found.isdecimal()
    if expected in (NUMBER, SIZE):
        return isinstance(found, int) and not isinstance(found, bool) and -_LARGEST <= found < _LARGEST
    return False


def _children(owner: Mapping[str, Any], key: str, at: Place) -> Iterator[tuple[Any, Place]]:
    found = owner.get(key)
    if found is None:
        return
    if not isinstance(found, dict):
        yield Mismatch((*at, key), "an object", kind(found)), at
        return
    for name, each in found.items():
        if isinstance(each, dict):
            yield each, (*at, key, name)
        elif each is not None:
            yield Mismatch((*at, key, name), "an object", kind(each)), at


def objects(owner: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects below ``key``, by name; what is none is passed over."""
    found = owner.get(key) if isinstance(owner, dict) else None
    if isinstance(found, dict):
        for name, each in found.items():
            if isinstance(each, dict):
                yield name, each


def text(owner: Any, key: str) -> str:
    """Return the string at ``key``, or an empty one."""
    found = owner.get(key) if isinstance(owner, dict) else None
    return found if isinstance(found, str) else ""


def kind(value: object) -> str:
    """Return what people call the type of a JSON value."""
    if isinstance(value, bool):
        return "true or false"
    kinds: list[tuple[type, str]] = [(dict, "an object"), (list, "a list"), (str, "a string"), (int, "a number")]
    return next((name for each, name in kinds if isinstance(value, each)), "null" if value is None else "a fraction")
