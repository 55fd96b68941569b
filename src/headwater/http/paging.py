"""What queries of all faces have in common: a parameter that has one value is given once, and how lists have pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from headwater.errors import Invalid
from headwater.http.values import canonical_id, whole


class BadQuery(Invalid):
    """A query parameter that cannot be understood."""


class GivenTwice(BadQuery):
    """A parameter has one value and is given several; which of them counts would be a guess."""

    def __init__(self, name: str) -> None:
        super().__init__(f"parameter {name[:40]!r} is given twice; give it once")
        self.name = name


def readable(parameters: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a query.

    Raises:
        BadQuery: One holds what no database takes.
    """
    for name, value in parameters:
        if "\x00" in value or "\x00" in name:
            raise BadQuery(f"parameter {name[:40]!r} holds a NUL character")
        yield name, value


def once(parameters: Iterable[tuple[str, str]], known: Collection[str]) -> dict[str, str]:
    """Return those parameters of a query that are known, each of which is given once; the others say nothing.

    Raises:
        GivenTwice: One is not.
        BadQuery: As ``readable`` says.
    """
    given: dict[str, str] = {}
    for name, value in readable(parameters):
        if name in known:
            put(given, name, value)
    return given


def put(given: dict[str, str], name: str, value: str) -> None:
    """Add a parameter to those that were given; raise ``GivenTwice`` when it was."""
    if name in given:
        raise GivenTwice(name)
    given[name] = value


def marker(given: str | None) -> str | None:
    """Return the id that a page begins after, as the catalogue has it."""
    return None if given is None else canonical_id(given)


def place(given: str | None, sort_key: str) -> int | str | None:
    """Return where, by ``sort_key``, the end of a page was, as its link to the next one says beside the marker."""
    return whole(given) if given is not None and sort_key.endswith("_at") else given


def page_limit(value: str | None, *, default: int, most: int) -> int:
    """Return how many things one page has at most; raise ``BadQuery`` when ``value`` is no number of them."""
    return default if value is None else clipped_limit(value, most)


def clipped_limit(value: str, most: int) -> int:
    """Return the number that ``value`` is, ``most`` at most; raise ``BadQuery`` when it cannot be a limit."""
    number = whole(value, most)
    if number is None:
        raise BadQuery(f"limit param must be an integer, not {value[:40]!r}")
    if value.startswith("-") and number:
        raise BadQuery("limit param must be positive")
    return number
