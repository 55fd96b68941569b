"""What every list takes: how much a page shows, and after what it begins."""

from __future__ import annotations

from headwater.errors import Invalid
from headwater.http.values import canonical_id, whole


class BadQuery(Invalid):
    """A query parameter that cannot be understood."""


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
